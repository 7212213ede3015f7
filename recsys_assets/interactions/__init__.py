"""Cleaning of a day: valid, deduplicated, weighted user-item events; the increment report."""
