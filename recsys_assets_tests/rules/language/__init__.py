"""Tests of recsys_assets.rules.language."""
