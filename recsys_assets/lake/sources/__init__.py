"""One module a source; each yields the same typed lazy frame of events."""
