"""Columns to values: ids, numbers, times and kinds, and the columns that hold them."""
