"""Tests of recsys_assets.orchestration.repair."""
