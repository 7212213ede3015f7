"""Lists of many users at once, brought to where they are used: files, databases, Redis."""
