"""The HTTP routes, one module a topic; what they answer is computed elsewhere in `api/`."""
