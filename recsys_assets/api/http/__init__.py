"""Around every request: keys, limits, bodies, errors, logs and metrics."""
