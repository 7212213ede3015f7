"""Tests of recsys_assets.experiments."""
