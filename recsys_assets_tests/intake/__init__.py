"""Tests of what arrives while the product runs, before the lake has it."""
