"""Files that are not as they were made: recognised, named, mended."""
