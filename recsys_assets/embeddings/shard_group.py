"""Sums over the processes that train together, in one fixed order, and the rows that each of them owns.

The processes hold different users, so that a sum over all users of an item is a sum of one part a process. The parts
are moved by `torch.distributed` (gloo) and added here in the order of the ranks: the same number of processes gives
the same bits, wherever they run. Only CPU tensors are moved.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from typing import Final, Protocol

import torch
import torch.distributed as dist
from torch import Tensor


class ShardGroup(Protocol):
    """The processes of one training, as one of them sees them. Shapes: R rows, O of them its own, D columns."""

    size: int
    """Number of processes, >= 1."""

    @property
    def by_itself(self) -> "ShardGroup":
        """The process alone, for rows that need nothing of the others; its bits are as independent of threads."""

    def same_bits(self) -> AbstractContextManager[None]:
        """A block whose long sums have the same bits whatever number of threads a process has."""

    def own(self, rows: int) -> slice:
        """Return the rows, of R, that this process computes; consecutive, and one more or less than the others'."""

    def collect(self, parts_RD: Tensor) -> Tensor:
        """Add every process's parts of all rows; return the sums of this process's own rows, (O, D)."""

    def spread(self, own_OD: Tensor, rows: int) -> Tensor:
        """Return all rows, (R, D), from the own rows of each process: the same bytes in every process."""

    def total(self, parts_RD: Tensor) -> Tensor:
        """Add every process's parts; return all sums, (R, D): the same bytes in every process."""

    def agreed(self, tensor: Tensor) -> Tensor:
        """Return the first process's tensor in every process."""


class Alone:
    """One process, which owns all rows."""

    size = 1

    def __init__(self, *, one_thread: bool = False) -> None:
        """Compute long sums by all threads, or by one."""
        self._one_thread = one_thread

    @property
    def by_itself(self) -> "Alone":
        """The same."""
        return self

    def same_bits(self) -> AbstractContextManager[None]:
        """One thread where this process is one of several; else it is compared with itself on one machine only."""
        return _one_thread() if self._one_thread else nullcontext()

    def own(self, rows: int) -> slice:
        """Return all rows."""
        return slice(0, rows)

    def collect(self, parts_RD: Tensor) -> Tensor:
        """Return them as they are."""
        return parts_RD

    def spread(self, own_OD: Tensor, rows: int) -> Tensor:
        """Return them as they are."""
        del rows
        return own_OD

    def total(self, parts_RD: Tensor) -> Tensor:
        """Return them as they are."""
        return parts_RD

    def agreed(self, tensor: Tensor) -> Tensor:
        """Return it as it is."""
        return tensor


ALONE: Final = Alone()
"""The group of a training in one process."""


class Together:
    """The processes of the present `torch.distributed` group; all of them make the same calls in the same order.

    A sum costs each process R · D numbers sent and received at most, and as much memory; so does a spread.
    """

    def __init__(self) -> None:
        """Take the group that `torch.distributed.init_process_group` made."""
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    @property
    def by_itself(self) -> Alone:
        """The process alone."""
        return Alone(one_thread=True)

    def same_bits(self) -> AbstractContextManager[None]:
        """One thread."""
        return _one_thread()

    def own(self, rows: int) -> slice:
        """Return this process's block of the rows."""
        edges = self._edges(rows)
        return slice(edges[self.rank], edges[self.rank + 1])

    def collect(self, parts_RD: Tensor) -> Tensor:
        """Exchange parts so that each process has all of its own rows', and add them in the order of the ranks."""
        parts_RD = parts_RD.contiguous()
        edges = self._edges(len(parts_RD))
        lengths = [high - low for low, high in pairwise(edges)]
        own = lengths[self.rank]
        received = parts_RD.new_empty((self.size * own, *parts_RD.shape[1:]))
        dist.all_to_all_single(received, parts_RD, [own] * self.size, lengths)
        total = received[:own]
        for rank in range(1, self.size):
            total += received[rank * own : (rank + 1) * own]
        return total

    def spread(self, own_OD: Tensor, rows: int) -> Tensor:
        """Send the own rows to every process."""
        edges = self._edges(rows)
        lengths = [high - low for low, high in pairwise(edges)]
        copies = own_OD.repeat(self.size, *([1] * (own_OD.dim() - 1)))
        every = own_OD.new_empty((rows, *own_OD.shape[1:]))
        dist.all_to_all_single(every, copies, lengths, [len(own_OD)] * self.size)
        return every

    def total(self, parts_RD: Tensor) -> Tensor:
        """Collect the sums and spread them."""
        return self.spread(self.collect(parts_RD), len(parts_RD))

    def agreed(self, tensor: Tensor) -> Tensor:
        """Send the first process's tensor to every process."""
        tensor = tensor.contiguous()
        dist.broadcast(tensor, src=0)
        return tensor

    def _edges(self, rows: int) -> list[int]:
        return [rows * rank // self.size for rank in range(self.size + 1)]


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of torch in the block: several cut a long sum into as many parts as they are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
