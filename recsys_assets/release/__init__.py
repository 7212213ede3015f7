"""Immutable releases: publish, promote, roll back, recall, load."""
