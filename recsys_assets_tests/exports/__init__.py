"""Tests of recsys_assets.exports."""
