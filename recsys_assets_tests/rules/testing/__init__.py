"""Tests of recsys_assets.rules.testing."""
