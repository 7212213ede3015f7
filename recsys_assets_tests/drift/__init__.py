"""Tests of recsys_assets.drift."""
