"""Tests of recsys_assets.quality."""
