"""A recommender as a Dagster asset graph, one folder a stage, in the order of the data.

    source files
        │  lake/           raw_interactions (one file a day), item_catalogue
        ▼
    interactions/          cleaned, deduplicated, weighted; the increment report
        ▼
    embeddings/            vocabulary, iALS factorisation, evaluation, fold-in
        ▼
    features/   index/     SQLite feature tables; usearch over item embeddings
        ▼
    release/               one immutable folder, checksummed; `current` points at one
        ▼
    rules/ → api/          filters, diversity, trace; the HTTP recommendation API

`quality/` holds what every stage is audited with: contracts, expectations, drift, publishing.
"""
