"""How often does the collection find the right entry?

hit@k: of the questions in `pairs.PAIRS`, the share whose first k results hold at least one entry
that answers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .pairs import PAIRS, Pair

if TYPE_CHECKING:
    from vicinal import Collection


@dataclass(frozen=True)
class Evaluation:
    """How many questions found their entry, and what the others found instead."""

    k: int
    asked: int
    missed: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def hits(self) -> int:
        return self.asked - len(self.missed)

    @property
    def share(self) -> float:
        return self.hits / self.asked

    def __str__(self) -> str:
        return f"hit@{self.k} = {self.share:.2f} ({self.hits} of {self.asked} questions)"


def evaluate(collection: Collection, pairs: Sequence[Pair] = PAIRS, k: int = 5) -> Evaluation:
    """Ask every question of `pairs` in one query, without filter or MMR."""
    questions = [pair.question for pair in pairs]
    found = collection.query(query_texts=questions, n_results=k, include=[])["ids"]
    missed = tuple(
        (pair.question, tuple(ids)) for pair, ids in zip(pairs, found) if rank_in(ids, pair.entries) is None
    )
    return Evaluation(k, len(questions), missed)


def rank_in(ids: Sequence[str], patterns: Sequence[str]) -> int | None:
    """The rank, from 1, of the first id that matches one of the patterns, whichever its chunk."""
    for rank, id in enumerate(ids, start=1):
        if any(fnmatchcase(id.partition("#")[0], pattern) for pattern in patterns):
            return rank
    return None
