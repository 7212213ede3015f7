"""Tests of recsys_assets.storage."""
