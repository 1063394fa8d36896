"""Closed conversations as other programs write them: tables, and the exports of help desks."""
