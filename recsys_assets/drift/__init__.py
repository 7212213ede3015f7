"""A day judged against the history of its own table."""
