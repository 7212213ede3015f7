"""Tests of recsys_assets.interactions."""
