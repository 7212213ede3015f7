"""Tests of recsys_assets.embeddings."""
