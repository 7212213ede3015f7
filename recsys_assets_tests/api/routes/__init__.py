"""Tests of recsys_assets.api.routes."""
