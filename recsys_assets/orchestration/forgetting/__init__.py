"""Forgetting users: ordered steps over a home, each of which may be run again, and the proof at the end."""
