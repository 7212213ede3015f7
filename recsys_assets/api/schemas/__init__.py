"""JSON bodies of the API, as msgspec structs."""
