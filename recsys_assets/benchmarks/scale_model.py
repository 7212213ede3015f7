"""A paper model of sizes that were not built: time, traffic, memory, files and cost from counts and constants.

The counts of operations are those of the code (`ials_half_step`, `shard_group`, `shard_memory`, a release's files). The
constants were measured on this kind of machine; the tests hold the model against trainings of 5, 22 and 124 million
pairs and against a built release. `python -m recsys_assets.benchmarks.scale_model` prints the README's table.
"""

from dataclasses import dataclass
from typing import Final

from recsys_assets.embeddings.ials import CONVERGED_STEPS
from recsys_assets.embeddings.memory_plan import chunk_bytes, chunk_sizes, training_bytes
from recsys_assets.embeddings.shard_memory import PROCESS_BYTES, largest_shard_bytes


@dataclass(frozen=True, kw_only=True)
class ScaleProblem:
    """A set and a training."""

    users: int
    items: int
    pairs: int
    embedding_size: int = 64
    epochs: int = 15
    cg_steps: int = 2
    candidates: int = 200
    """Precomputed items a user."""
    neighbours: int = 50
    """Precomputed items an item."""


@dataclass(frozen=True, kw_only=True)
class ScaleMachine:
    """One node."""

    cores: int = 2
    cached_seconds: float = 0.27e-9
    """A number of an embedding read and multiplied in a pass over the entries, by one core, from its cache."""
    memory_seconds: float = 1.4e-9
    """The same from memory. These two solve the times of 22 and 124 million pairs; passes of random rows over tables of
    1 MB to 1 GB, measured one by one, took 0.13 to 1.05 ns."""
    cache_bytes: int = 32 << 20
    """The last cache that cores share."""
    products_a_second: float = 5e10
    """Multiply-adds of a core in dense float32 products."""
    row_seconds: float = 1e-9
    """All element-wise work of a CG step on a number of a row, by one core."""
    search_seconds: float = 3e-9 / 64
    """A core's exact search, an item and dimension: 3.0 ms for a million of 64."""
    network_bytes: float = 1.25e9
    """Bytes a second that a node sends and receives at the same time: 10 Gbit/s."""
    message_seconds: float = 0.5e-3
    """One exchange of gloo, beside its bytes."""
    dollars_an_hour: float = 0.0


HERE: Final = ScaleMachine()
"""The machine of the README's figures."""
NODE: Final = ScaleMachine(cores=16, dollars_an_hour=1.0)
"""A rented node of 16 cores and 128 GB; its price is an assumption, and that 16 cores are 8 times 2."""


@dataclass(frozen=True, kw_only=True)
class ScaleEstimate:
    """One row of the table; bytes, seconds and dollars."""

    compute_seconds: float
    """Training, without communication."""
    sent_bytes: float
    """Sent by a node during the training, and received."""
    communication_seconds: float
    """Their time."""
    node_bytes: int
    """Most memory of a training process, one a node."""
    cutting_bytes: int
    """Memory of the asset's process, which holds all pairs and cuts them into shards."""
    lists_seconds: float
    """Users' candidates, each by an exact search over all items."""
    release_bytes: int
    """All files of the release."""
    api_bytes: int
    """An API worker's memory with items, index and ids read; users' rows are read from disk as they are requested."""
    index_bytes: int
    """The files of an exact index."""
    dollars: float
    """Training and lists on all nodes."""


def estimate(problem: ScaleProblem, *, nodes: int, machine: ScaleMachine = NODE) -> ScaleEstimate:
    """Estimate a training on `nodes` nodes, one process each, and what follows from its sizes."""
    compute = compute_seconds(problem, nodes=nodes, machine=machine)
    sent, messages = traffic(problem, nodes=nodes)
    communication = sent / machine.network_bytes + messages * machine.message_seconds
    searched = problem.users * problem.items * problem.embedding_size
    lists = searched * machine.search_seconds / (machine.cores * nodes)
    return ScaleEstimate(
        compute_seconds=compute,
        sent_bytes=sent,
        communication_seconds=communication,
        node_bytes=node_bytes(problem, nodes=nodes),
        cutting_bytes=PROCESS_BYTES + 16 * problem.pairs + 60 * (problem.users + problem.items),
        lists_seconds=lists,
        release_bytes=release_bytes(problem),
        api_bytes=api_bytes(problem),
        index_bytes=index_bytes(problem),
        dollars=nodes * (compute + communication + lists) / 3600 * machine.dollars_an_hour,
    )


def compute_seconds(problem: ScaleProblem, *, nodes: int, machine: ScaleMachine) -> float:
    """Return the time of the passes over the entries, the dense products and the element-wise steps.

    A half-step of s CG steps passes 2 s + 1 times over the entries: s + 1 predictions and s sums.
    """
    size, users, items = problem.embedding_size, problem.users / nodes, problem.items
    passes = 2 * problem.cg_steps + 1
    last = 2 * CONVERGED_STEPS + 1
    of_items, of_users = (_read_seconds(4 * size * rows, machine) for rows in (items, users))
    numbers = problem.pairs / nodes * size
    entries = numbers * (problem.epochs * passes * (of_items + of_users) + last * of_items)
    half_steps = 2 * problem.epochs + 1
    dense = half_steps * 3 * size**2 * (users + items) / machine.products_a_second
    steps = problem.epochs * problem.cg_steps
    rows = size * (users * (steps + CONVERGED_STEPS) + items / nodes * steps) * machine.row_seconds
    return (entries + dense + rows) / machine.cores


def _read_seconds(table: float, machine: ScaleMachine) -> float:
    """Return the time of one number of a table of this many bytes, read in random order."""
    cached = min(1.0, machine.cache_bytes / table)
    return cached * machine.cached_seconds + (1 - cached) * machine.memory_seconds


def traffic(problem: ScaleProblem, *, nodes: int) -> tuple[float, float]:
    """Return the bytes that a node sends in a training, and the number of exchanges.

    Only items' half-steps communicate: s sums and s + 1 spreads of all items' rows, and s sums of one number a row.
    """
    if nodes == 1:
        return 0.0, 0.0
    steps = problem.cg_steps
    numbers = problem.items * ((2 * steps + 1) * problem.embedding_size + steps)
    entries, of_chunk = chunk_sizes("cpu")
    chunks = problem.pairs / (entries * nodes) + problem.items * problem.embedding_size / of_chunk
    sent = 4.0 * numbers * (nodes - 1) / nodes
    return problem.epochs * sent, problem.epochs * chunks * (3 * steps + 1)


def node_bytes(problem: ScaleProblem, *, nodes: int) -> int:
    """Return the most memory of a training process; on one node the asset's process trains, and holds the pairs."""
    shape, size = (problem.users, problem.items), problem.embedding_size
    if nodes > 1:
        return PROCESS_BYTES + largest_shard_bytes(shape, problem.pairs, size, shards=nodes)
    chunk = chunk_bytes(*chunk_sizes("cpu"))
    matrix = 12 * problem.pairs + 40 * sum(shape)
    return PROCESS_BYTES + matrix + training_bytes(shape, problem.pairs, size, chunk=chunk)


_ID_BYTES: Final = 30
"""An id: its text, where it starts, and its place in the hash table."""
_ITEM_WORDS: Final = 280
"""An item's title, category and row in the feature store."""
_API_BASE: Final = 130 << 20
"""An API worker before it has opened a release."""


def index_bytes(problem: ScaleProblem) -> int:
    """Return the bytes of the exact search: the vectors by length, with the prior, their order and lengths."""
    return problem.items * (4 * (problem.embedding_size + 1) + 8)


def release_bytes(problem: ScaleProblem) -> int:
    """Return the bytes of all files of a release."""
    vector = 4 * (problem.embedding_size + 1)
    of_user = vector + 8 * problem.candidates + 16 + _ID_BYTES
    of_item = vector + 8 * problem.neighbours + 12 + _ID_BYTES + _ITEM_WORDS
    return (
        problem.users * of_user + problem.items * of_item + 16 * problem.pairs + index_bytes(problem)
    )  # an entry: item, day and weight of a wish, and the item again where it was seen


def api_bytes(problem: ScaleProblem) -> int:
    """Return an API worker's memory after it has searched all items and looked up all ids."""
    vectors = 4 * (problem.embedding_size + 1) * problem.items
    return _API_BASE + index_bytes(problem) + vectors + _ID_BYTES * (problem.users + problem.items)


LARGEST: Final = ScaleProblem(users=50_000_000, items=5_000_000, pairs=1_000_000_000)
"""The set of the README's table."""


def table(nodes: tuple[int, ...] = (1, 4, 8, 16), sizes: tuple[int, ...] = (64, 128)) -> list[str]:
    """Return the rows of the README's table, in Markdown."""
    rows = []
    for size in sizes:
        for count in nodes:
            problem = ScaleProblem(
                users=LARGEST.users, items=LARGEST.items, pairs=LARGEST.pairs, embedding_size=size
            )
            found = estimate(problem, nodes=count)
            cells = [
                f"{size}",
                f"{count}",
                f"{found.compute_seconds / 60:.1f} min",
                f"{found.sent_bytes / 1e9:.0f} GB; {found.communication_seconds / 60:.1f} min",
                f"{found.node_bytes / 1e9:.1f} GB",
                f"{found.lists_seconds / 3600:.1f} h",
                f"{found.release_bytes / 1e9:.0f} GB",
                f"{found.api_bytes / 1e9:.1f} GB",
                f"{found.index_bytes / 1e9:.1f} GB",
                f"{found.dollars:.2f} $",
            ]
            rows.append(f"| {' | '.join(cells)} |")
    return rows


if __name__ == "__main__":
    print("\n".join(table()))  # noqa: T201  a command's output
