"""Sources to raw Parquet, one file a day, and the item catalogue."""
