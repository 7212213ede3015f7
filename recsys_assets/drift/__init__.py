"""Drift: a day against the history of its own table."""
