"""Tests of `recsys_assets.lake.values`."""
