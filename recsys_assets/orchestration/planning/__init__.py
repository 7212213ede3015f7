"""The plan of a build: its steps and their reasons, what they cost, what they change, and running just them."""
