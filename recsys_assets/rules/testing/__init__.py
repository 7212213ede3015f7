"""Rules tried before they are used: cases, invariants, and the difference that a change makes."""
