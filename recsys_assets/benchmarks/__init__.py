"""One module a benchmark; each compares in one run and returns one JSON object."""
