"""Tests of recsys_assets.api.serving."""
