"""Tests of recsys_assets.rules.engine."""
