"""Sources to raw Parquet, one file a day; the partition store that every lake table uses."""
