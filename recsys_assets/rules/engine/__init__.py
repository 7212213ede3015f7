"""The one pipeline that answers every request: candidates, filters, scoring, re-ranking."""
