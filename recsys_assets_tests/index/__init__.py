"""Tests of recsys_assets.index."""
