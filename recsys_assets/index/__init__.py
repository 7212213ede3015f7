"""The usearch index over item embeddings: build, search, measured recall."""
