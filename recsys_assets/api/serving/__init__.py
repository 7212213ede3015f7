"""The release being served, and the processes that serve it."""
