"""Forget users: the steps that take them out of every file of a home, and the proof that none is left."""
