"""Vocabulary, time split, the iALS factorisation, its evaluation and fold-in."""
