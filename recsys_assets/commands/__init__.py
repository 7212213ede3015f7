"""The commands of `recsys`, a module a topic; what they call is imported when they run: `--help` is quick."""
