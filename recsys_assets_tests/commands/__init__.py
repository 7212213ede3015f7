"""Tests of recsys_assets.commands."""
