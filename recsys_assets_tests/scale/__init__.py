"""The product on several machines against itself on one, and through kills of its servers."""
