"""The rules file and its expressions: what may be written, read and checked."""
