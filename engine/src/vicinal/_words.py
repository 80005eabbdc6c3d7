"""Which records speak of these words, and which can contain this string?

The text indexes of one open collection: words of documents or of a metadata field, components of sparse
vectors in a metadata field, and signatures of documents for substrings. Each is made when it is first asked
for and then kept up in the background; those of documents have checkpoints. Like columns, an index
remembers the change that it covers and catches up from the change log, so its answers, and BM25's
statistics, are those of the view that a query sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np

from vicinal import _derived
from vicinal._filter.values import lookup
from vicinal._index.columns import Covered
from vicinal._index.view import Mask, Rows, View
from vicinal._storage import arrays, checkpoint
from vicinal._storage.database import Transaction
from vicinal._storage.files import Files
from vicinal._storage.metadata import decode
from vicinal._text import bm25, postings, sparse, trigrams
from vicinal._text.analysis import Analyser
from vicinal._text.bm25 import Statistics, TextIndex
from vicinal._text.literals import Requirement
from vicinal._text.postings import Postings
from vicinal._text.trigrams import Signatures
from vicinal.config import Analysis
from vicinal.types import SparseVector

DOCUMENT = "#document"
NAMES = ("words", "signatures")
"""The checkpoints of documents' indexes, made once somebody has asked."""

_SLICE_ROWS = 2_000  # of the background, while no question can be prepared: some 100 ms
_NO_ROWS: Rows = np.empty(0, dtype=np.int64)
_NEVER = Covered(0, 0, 0)

Index = TypeVar("Index")
Values = Iterable[tuple[int, Any]]


@dataclass
class _Held(Generic[Index]):
    """An index and what it covers."""

    index: Index
    covered: Covered = _NEVER


@dataclass(frozen=True)
class Words:
    """The words of a field at a view's change, to be searched."""

    index: TextIndex
    statistics: Statistics
    analyser: Analyser


class LiveWords:
    """Every method may be called from any thread."""

    def __init__(self, directory: Path | None, analysis: Analysis | None) -> None:
        self._directory = directory
        self._changing = Lock()
        self._analysis = analysis
        self._analyser: Analyser | None = None
        self._words: dict[str, _Held[TextIndex]] = {}
        self._sparse: dict[str, _Held[Postings]] = {}
        self._signatures: _Held[Signatures] | None = None
        self._statistics: dict[str, tuple[int, Statistics]] = {}
        if analysis is not None:  # asked for by configuration: the background need not wait for a question
            self._words[DOCUMENT] = _Held(bm25.empty())
        self._looked_for: set[str] = set()

    def words(self, tx: Transaction, view: View, field: str) -> Words:
        """The words of a field, at the view's change. The first question makes the index."""
        analyser = self.analyser()
        with self._changing:
            if field == DOCUMENT:
                self._read_words(view)
            held = self._words.setdefault(field, _Held(bm25.empty()))
            index = self._advance(tx, view, held, view.rows, field, bm25.empty, self._more_words)
            change, statistics = self._statistics.get(field, (-1, None))
            if statistics is None or change != view.change:
                statistics = bm25.statistics(index, view.alive)
                if held.covered.change == view.change:
                    self._statistics[field] = view.change, statistics
            return Words(index, statistics, analyser)

    def sparse(self, tx: Transaction, view: View, field: str) -> Postings:
        """The sparse vectors of a metadata field, at the view's change."""
        with self._changing:
            held = self._sparse.setdefault(field, _Held(postings.EMPTY))
            return self._advance(tx, view, held, view.rows, field, lambda: postings.EMPTY, _more_sparse)

    def candidates(self, view: View, requirement: Requirement) -> Mask | None:
        """The rows whose document can match; None when nothing can be excluded, or is known yet."""
        with self._changing:
            held = self._read_signatures(view)  # from now on the background keeps them up
            covered, index = held.covered, held.index
        if (covered.change, covered.generation) != (view.change, view.generation):
            return None
        return trigrams.candidates(index, requirement, view.rows)

    def analyser(self) -> Analyser:
        """How texts become terms, both ways."""
        if self._analyser is None:
            self._analyser = Analyser(self._analysis)
        return self._analyser

    def refresh(self, tx: Transaction, view: View) -> bool:
        """Bring the indexes that are in use a little nearer to the view; whether there is more to do."""
        with self._changing:
            if DOCUMENT in self._words:
                self._read_words(view)
            for field, words in self._words.items():
                if self._is_behind(view, words):
                    self.analyser()
                    stop = self._next(view, words)
                    self._advance(tx, view, words, stop, field, bm25.empty, self._more_words)
                    return True
                if postings.is_due(words.index.postings):
                    words.index = bm25.merged(words.index, view.alive)
                    self._statistics.pop(field, None)
                    return True
            for field, vectors in self._sparse.items():
                if self._is_behind(view, vectors):
                    stop = self._next(view, vectors)
                    self._advance(tx, view, vectors, stop, field, lambda: postings.EMPTY, _more_sparse)
                    return True
                if postings.is_due(vectors.index):
                    vectors.index = postings.merged(vectors.index, view.alive)
                    return True
            signatures = self._signatures
            if signatures is not None and self._is_behind(view, signatures):
                stop = self._next(view, signatures)
                self._advance(tx, view, signatures, stop, DOCUMENT, lambda: trigrams.EMPTY, _more_signatures)
                return True
            return False

    def save(self, directory: Path, view: View, files: Files, due: Callable[[str], bool]) -> None:
        """Write the checkpoints of documents' indexes that are `due`, when they are at the view."""
        now = Covered(view.change, view.generation, view.rows)
        covers = _derived.covers_of(view)
        with self._changing:
            words, signatures = self._words.get(DOCUMENT), self._signatures
            kept = None if words is None or words.covered != now else words.index
            signed = None if signatures is None or signatures.covered != now else signatures.index
        if kept is not None and due("words"):
            how = {**covers, "analysis": self.analyser().analysis.model_dump(mode="json")}
            packed = bm25.pack(kept)
            checkpoint.save(directory, "words", how, lambda path: arrays.write(path, packed), files)
        if signed is not None and due("signatures"):
            blocks = trigrams.pack(signed)
            checkpoint.save(directory, "signatures", covers, lambda path: arrays.write(path, blocks), files)

    # --- how -----------------------------------------------------------------------------------

    def _read_words(self, view: View) -> None:
        """Take what the checkpoint of documents' words holds, once."""
        if self._directory is None or "words" in self._looked_for:
            return
        self._looked_for.add("words")
        found = _load(self._directory, "words", view, bm25.unpack)
        if found is not None and found[1].get("analysis") == self.analyser().analysis.model_dump(mode="json"):
            self._words[DOCUMENT] = found[0]

    def _read_signatures(self, view: View) -> _Held[Signatures]:
        """The signatures; from the checkpoint when they are first asked for."""
        if self._signatures is None:
            found = None
            if self._directory is not None:
                found = _load(self._directory, "signatures", view, trigrams.unpack)
            self._signatures = _Held(trigrams.EMPTY) if found is None else found[0]
        return self._signatures

    @staticmethod
    def _is_behind(view: View, held: _Held[Any]) -> bool:
        return held.covered != Covered(view.change, view.generation, view.rows) and (
            held.covered.generation != view.generation or held.covered.change <= view.change
        )

    @staticmethod
    def _next(view: View, held: _Held[Any]) -> int:
        covered = held.covered.rows if held.covered.generation == view.generation else 0
        return min(view.rows, covered + _SLICE_ROWS)

    def _advance(
        self,
        tx: Transaction,
        view: View,
        held: _Held[Index],
        stop: int,
        field: str,
        empty: Callable[[], Index],
        more: Callable[[Index, int, Values, Rows], Index],
    ) -> Index:
        """An index that covers the view's change up to a row at least; kept, unless it goes back in time."""
        covered = held.covered
        current = (covered.change, covered.generation) == (view.change, view.generation)
        if current and covered.rows >= stop:
            return held.index
        altered = _derived.altered_since(tx, covered, view)
        rows, base = covered.rows, held.index
        if altered is None:
            rows, base, altered = 0, empty(), _NO_ROWS
        stop = max(rows, stop)
        again = altered[altered < rows]
        index = more(base, stop, _values(tx, field, rows, stop, again), again)
        if covered.change <= view.change:
            held.index, held.covered = index, Covered(view.change, view.generation, stop)
        return index

    def _more_words(self, old: TextIndex, rows: int, values: Values, altered: Rows) -> TextIndex:
        texts = ((row, value) for row, value in values if isinstance(value, str))
        return bm25.extend(old, self.analyser(), rows, *_told(texts, altered))


def _more_sparse(old: Postings, rows: int, values: Values, altered: Rows) -> Postings:
    vectors = ((row, v.indices, v.values) for row, v in values if isinstance(v, SparseVector))
    return sparse.extend(old, rows, *_told(vectors, altered))


def _more_signatures(old: Signatures, rows: int, values: Values, altered: Rows) -> Signatures:
    texts = {row: value for row, value in values if isinstance(value, str)}
    texts |= {row: "" for row in altered.tolist() if row not in texts}
    return trigrams.extend(old, rows, texts.items())


def _told(found: Iterable[Any], altered: Rows) -> tuple[list[Any], Rows]:
    """What was found, and the altered rows of which nothing was: they are to be forgotten."""
    listed = list(found)
    return listed, np.setdiff1d(altered, np.array([entry[0] for entry in listed], dtype=np.int64))


def _values(tx: Transaction, field: str, first: int, stop: int, altered: Rows) -> Iterator[tuple[int, Any]]:
    """(row, value) of a field for rows from `first` to `stop`, and for those altered before."""
    column = "document" if field == DOCUMENT else "metadata"
    for row, text in _derived.stored(tx, column, first, stop, altered):
        if text is not None:
            yield row, text if field == DOCUMENT else lookup(decode(text) or {}, field)


def _load(
    directory: Path, name: str, view: View, unpack: Callable[[dict[str, arrays.Array]], Index]
) -> tuple[_Held[Index], dict[str, Any]] | None:
    """An index from its checkpoint, and what that covers; None when it is not of this view's rows."""
    try:
        covers, found = _derived.load(directory, name, view.generation)
        covered = _derived.covered_by(covers, view)
        index: Any = unpack(found)
        return None if index.rows != covered.rows else (_Held(index, covered), covers)
    except _derived.BROKEN:
        return None
