"""Larkspur Bikes, a company that the project made up, and one day and night of its support team."""
