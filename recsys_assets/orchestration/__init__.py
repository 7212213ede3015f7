"""Dagster: the only folder that imports it, besides `definitions.py`."""
