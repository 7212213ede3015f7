"""Tests of `recsys_assets.lake.files`."""
