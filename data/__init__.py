"""The store, and the words that everyone shares."""
