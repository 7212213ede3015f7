"""The engine that answers every request: `plain`, or a scenario of candidates, filters, scoring, re-ranking."""
