"""From interactions to embeddings: the matrix, iALS and softmax, fold-in, memory, and their files."""
