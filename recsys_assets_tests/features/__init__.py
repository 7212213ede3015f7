"""Tests of recsys_assets.features."""
