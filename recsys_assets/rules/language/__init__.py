"""The rules file and its expressions: structure, reading, checks and evaluation."""
