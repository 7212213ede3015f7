"""A recommender as a Dagster asset graph, one folder a stage, in the order of the data.

    source files
        │  lake/               raw_interactions (one file a day), item_catalogue
        │  quality/ drift/     each day audited before it is published, or put in quarantine
        ▼
    interactions/              cleaned, deduplicated, weighted; the increment report
        ▼
    embeddings/  evaluation/   models as components, fold-in; chosen and measured on held-out days
        ▼
    features/    index/        SQLite feature tables; exact search or a graph over item embeddings
        ▼
    release/                   one immutable folder, checksummed; `current` points at one
        ▼
    rules/                     candidates, filters, scoring, re-ranking, with a trace
        ▼
    api/         exports/      the HTTP recommendation API and the explorer page; lists of many users, elsewhere

`storage/` is the ground floor: paths, atomic files, locks, arrays. `orchestration/` wires the stages into Dagster's
graph; only it and `definitions.py` import Dagster. `commands/` is the `recsys` command, `notebooks/` are executed
by the graph, `benchmarks/` measure the stages.
"""
