"""A proof that two commits behave the same: what they build, answer and print is recorded and compared."""
