"""Immutable releases: publish, promote, roll back, load."""
