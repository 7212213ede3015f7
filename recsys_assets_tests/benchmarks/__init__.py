"""Tests of recsys_assets.benchmarks."""
