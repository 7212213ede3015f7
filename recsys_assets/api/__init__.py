"""The HTTP recommendation API and the explorer page."""
