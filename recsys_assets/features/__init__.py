"""User and item features as SQLite tables, and their registry."""
