"""Models judged on held-out days: splits, rankings, metrics, baselines, and the search for settings."""
