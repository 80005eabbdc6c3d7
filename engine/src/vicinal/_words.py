"""Which records speak of these words, and which can contain this string?

The text indexes of one open collection: words of documents or of a metadata field, components of sparse
vectors in a metadata field, and signatures of documents for substrings. Each is made when it is first asked
for, then kept up in the background and on disk (`_by_field.py`). Answers, and BM25's statistics, are those
of the view that a query sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from vicinal import _derived
from vicinal._by_field import ByField, Kind, Values
from vicinal._filter import DOCUMENT
from vicinal._index.view import Mask, Rows, View
from vicinal._storage.database import Transaction
from vicinal._storage.files import Files
from vicinal._text import bm25, postings, sparse, trigrams
from vicinal._text.analysis import Analyser
from vicinal._text.bm25 import Statistics, TextIndex
from vicinal._text.postings import Postings
from vicinal._text.trigrams import Signatures
from vicinal._turns import Lock
from vicinal.config import Analysis
from vicinal.types import SparseVector

NAMES = ("words", "sparse", "signatures")
"""The checkpoints, made once somebody has asked for what they hold."""


@dataclass(frozen=True)
class Words:
    """The words of a field at a view's change, to be searched."""

    index: TextIndex
    statistics: Statistics
    analyser: Analyser


class LiveWords:
    """Every method may be called from any thread."""

    def __init__(self, directory: Path | None, analysis: Analysis | None) -> None:
        self._changing = Lock()
        self._analyser = analyser = lru_cache(partial(Analyser, analysis))
        how = {"analysis": (analysis or Analysis()).model_dump(mode="json")}
        # No method of this object's: who lets go of it lets go of the files that it maps.
        more = partial(_more_words, analyser)
        words = Kind("words", bm25.empty, more, _tidied_words, bm25.pack, bm25.unpack, how)
        self._words = ByField(words, directory)
        self._sparse = ByField(_SPARSE, directory)
        self._signatures = ByField(_SIGNATURES, directory)
        self._kinds: tuple[ByField[Any], ...] = (self._words, self._sparse, self._signatures)
        self._statistics: dict[str, tuple[int, Statistics]] = {}
        if analysis is not None:  # asked for by configuration: the background need not wait for a question
            self._words.want(DOCUMENT)

    def words(
        self, tx: Transaction, view: View, field: str, making: Callable[[], None], again: bool
    ) -> Words:
        """The words of a field, at the view's change. The first question makes the index, and says so."""
        analyser = self.analyser()
        with self._changing:
            index = self._words.at(tx, view, field, making, again)
            change, statistics = self._statistics.get(field, (-1, None))
            if statistics is None or change != view.change:
                statistics = bm25.statistics(index, view.alive)
                self._statistics[field] = view.change, statistics
            return Words(index, statistics, analyser)

    def sparse(
        self, tx: Transaction, view: View, field: str, making: Callable[[], None], again: bool
    ) -> Postings:
        """The sparse vectors of a metadata field, at the view's change; made as words are."""
        with self._changing:
            return self._sparse.at(tx, view, field, making, again)

    def signatures(self, tx: Transaction, view: View, again: bool) -> tuple[Signatures, Rows] | None:
        """The signatures of documents, and which of their rows were altered since; None while there are none.

        From now on the background keeps them up: they may be a few changes behind the view, and rows short.
        """
        with self._changing:
            held = self._signatures.held(view, DOCUMENT, again)
            covered, index = held.covered, held.index
        altered = _derived.altered_since(tx, covered, view)
        return None if altered is None else (index, altered)

    def analyser(self) -> Analyser:
        """How texts become terms, both ways."""
        return self._analyser()

    def forget(self) -> None:
        """Begin anew, with the same fields: dropping what older texts have left."""
        with self._changing:
            self._statistics.clear()
            for kind in self._kinds:
                kind.forget()

    def refresh(self, tx: Transaction, view: View) -> bool:
        """Bring the indexes that are in use a little nearer to the view; whether there is more to do."""
        with self._changing:
            return any(kind.refresh(tx, view) for kind in self._kinds)

    def save(self, directory: Path, view: View, files: Files, due: Callable[[str], bool]) -> None:
        """Write the checkpoints that are `due`, of indexes that are at the view."""
        for kind in self._kinds:
            with self._changing:
                indexes = kind.ready(view)
            kind.save(indexes, directory, view, files, due)


def _more_words(
    analyser: Callable[[], Analyser], old: TextIndex, rows: int, values: Values, altered: Rows
) -> TextIndex:
    return bm25.extend(old, analyser(), rows, _texts(values), altered)


def _tidied_words(old: TextIndex, alive: Mask) -> TextIndex | None:
    return bm25.merged(old, alive) if postings.is_due(old.postings) else None


def _more_sparse(old: Postings, rows: int, values: Values, altered: Rows) -> Postings:
    vectors = ((row, v.indices, v.values) for row, v in values if isinstance(v, SparseVector))
    return sparse.extend(old, rows, vectors, altered)


def _tidied_sparse(old: Postings, alive: Mask) -> Postings | None:
    return postings.merged(old, alive) if postings.is_due(old) else None


def _more_signatures(old: Signatures, rows: int, values: Values, altered: Rows) -> Signatures:
    return trigrams.extend(old, rows, _each(_texts(values), altered))


def _texts(values: Values) -> Iterator[tuple[int, str]]:
    """Those values that are texts."""
    return ((row, value) for row, value in values if isinstance(value, str))


def _each(texts: Iterable[tuple[int, str]], rows: Rows) -> Iterator[tuple[int, str]]:
    """The texts, and an empty one for those of the rows that have none."""
    left = set(rows.tolist())
    for row, text in texts:
        left.discard(row)
        yield row, text
    yield from ((row, "") for row in left)


_SPARSE = Kind(
    "sparse",
    lambda: postings.EMPTY,
    _more_sparse,
    _tidied_sparse,
    postings.arrays_of,
    postings.from_arrays,
)
_SIGNATURES = Kind(
    "signatures",
    lambda: trigrams.EMPTY,
    _more_signatures,
    lambda _old, _alive: None,
    trigrams.pack,
    trigrams.unpack,
)
