"""Tests of recsys_assets.intake."""
