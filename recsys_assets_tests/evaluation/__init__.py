"""Tests of recsys_assets.evaluation."""
