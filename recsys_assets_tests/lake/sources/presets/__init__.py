"""Tests of ready-made sources, each on small files in its published shape."""
