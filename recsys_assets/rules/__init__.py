"""Declarative business rules over candidates: filters, boosts, diversity, slots, trace."""
