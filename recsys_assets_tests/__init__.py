"""Tests of recsys_assets; the tree mirrors the package."""
