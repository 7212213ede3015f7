"""The release being served, answers from it, events since, and the processes that serve."""
