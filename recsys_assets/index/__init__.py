"""Exact search, the search by a graph, the measured choice between them, and precomputed lists."""
