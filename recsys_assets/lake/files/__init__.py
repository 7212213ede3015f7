"""Bytes to tables of text: files, sheets, archives, answers of queries. Nothing here knows what a column means."""
