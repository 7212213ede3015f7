"""Rows that arrive while the product runs, before the lake has them: events, impressions, merges, item states.

The API imports this: neither polars, pyarrow, torch nor Dagster.
"""
