"""What surrounds a request: keys, limits, bodies, replies, errors and metrics."""
