"""Tests of recsys_assets.api.http."""
