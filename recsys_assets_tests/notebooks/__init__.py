"""Tests of recsys_assets.notebooks."""
