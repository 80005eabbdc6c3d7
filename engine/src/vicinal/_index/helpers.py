"""Who computes beside the thread that asks?

Other threads of a pool, one a core, while nobody else wants the cores or the interpreter. Each takes the next
piece when it has done one, so whoever is held up, as on a core that another program has, holds the others up
for one piece at the most (docs/decisions/0020-few-long-steps.md).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from vicinal._machine import cores
from vicinal._turns import anybody_reads, crowded

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")

_PARTS = 2  # for each core, so that one that is held up leaves something to the others
_PARTS_MAX = 16  # to call a helper takes some 5 us, and none was measured beside more than one other

Floats = NDArray[np.float32]


def in_parts(compute: Callable[[slice], Floats], rows: int) -> Floats:
    """What is computed of so many rows, a number for each; by this thread alone where others want the cores
    or the interpreter, of which every part lets go."""
    if cores() == 1 or crowded() or anybody_reads():
        return compute(slice(0, rows))
    size = -(-rows // min(_PARTS * cores(), _PARTS_MAX))
    parts = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
    return np.concatenate(in_pieces(compute, parts))


def in_pieces(compute: Callable[[Item], Result], pieces: Iterable[Item]) -> list[Result]:
    """What is computed of each piece, in their order."""
    todo = list(pieces)
    done: list[Result] = [None] * len(todo)  # type: ignore[list-item]
    numbers = itertools.count()

    def work() -> None:
        while (number := next(numbers)) < len(todo):
            done[number] = compute(todo[number])

    helping: list[Future[None]] = []
    try:
        # No thread can be had when there are too many, or when the interpreter is going down.
        with suppress(RuntimeError):
            helping.extend(_pool().submit(work) for _ in range(min(cores(), len(todo)) - 1))
        work()
    finally:
        for helper in helping:
            if not helper.cancel():  # it has begun
                helper.result()
    return done


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # not needed by small collections

    return ThreadPoolExecutor(max(1, cores() - 1), "vicinal-helper")


if hasattr(os, "register_at_fork"):  # the threads of the pool do not exist in the child
    os.register_at_fork(after_in_child=_pool.cache_clear)
