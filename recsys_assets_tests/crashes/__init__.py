"""Commands that are killed at any moment: the next run ends as if nobody had disturbed them."""
