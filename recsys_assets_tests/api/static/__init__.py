"""Tests of the pages in recsys_assets.api.static, in a browser."""
