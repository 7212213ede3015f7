"""Cleaned days of valid, deduplicated, weighted user-item events, and the increment report on each day."""
