"""Tests of recsys_assets.release."""
