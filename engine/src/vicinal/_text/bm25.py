"""Which rows are most about these words?

BM25 with the statistics of the records that are there now: how many they are, how long on average, how
many of them have a word. Nothing of it is stored, so deletions and alterations need no second look.

    score(q, d) = Σ_t idf(t) · tf · (k1 + 1) / (tf + k1 · (1 − b + b · |d| / avg))
    idf(t) = ln(1 + (N − df + 0.5) / (df + 0.5))

N, df and avg are taken over the live rows that have at least one term; |d| counts terms with repetitions. A
word that stands twice in a question counts twice. idf is Lucene's, never negative; the factor k1 + 1, which
changes no order, is kept as in Robertson and Zaragoza, The Probabilistic Relevance Framework (2009).

The search is exact. Rare terms come first; once no row that they have not found can still be among the best
k, the others are only looked up for the rows that can (MaxScore: Turtle and Flood, 1995).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from vicinal._kth import reached
from vicinal._text import postings
from vicinal._text.analysis import Analyser
from vicinal._text.best import Scores, aged, best
from vicinal._text.postings import Codes, Mask, Postings, Rows, Weights
from vicinal._text.vocabulary import Vocabulary
from vicinal._turns import in_texts

K1 = 1.2
B = 0.75
_BATCH = 512  # texts at a time; counting holds the GIL for some 3 ms
_WASTE_MIN = 1024  # terms that may be left over before they are done away with
_CHARS = 1 << 19  # of a batch, of which each takes some 15 bytes meanwhile, and 50 ns


@dataclass(frozen=True)
class TextIndex:
    """One version of the words of one field; immutable but for the vocabulary, which only grows until another
    takes its place."""

    vocabulary: Vocabulary
    postings: Postings
    lengths: NDArray[np.float32]
    """By row, how many terms it has, with repetitions."""

    @property
    def rows(self) -> int:
        """The index covers rows below this one."""
        return len(self.lengths)


def empty() -> TextIndex:
    """An index of nothing."""
    return TextIndex(Vocabulary(), postings.EMPTY, np.empty(0, dtype=np.float32))


def extend(
    old: TextIndex,
    analyser: Analyser,
    rows: int,
    texts: Iterable[tuple[int, str]],
    forgotten: Rows | None = None,
) -> TextIndex:
    """The next version, `rows` long.

    Args:
        texts: Row and text, each row once: of new rows, and of old ones whose text was altered. A row that is
            not named keeps what it has, which for a new one is nothing.
        forgotten: Old rows whose text was altered or removed: of those that are not named, nothing is left.
    """
    numbers: list[int] = [] if forgotten is None else np.asarray(forgotten).tolist()
    parts: list[tuple[Rows, Codes, Weights]] = []
    lengths = np.zeros(rows, dtype=np.float32)
    lengths[: old.rows] = old.lengths
    lengths[numbers] = 0
    for batch in in_texts(texts, _BATCH, _CHARS):
        given = np.array([row for row, _ in batch], dtype=np.int64)
        numbers.extend(given.tolist())
        at, codes, counts = _counted(old.vocabulary, analyser, [text for _, text in batch])
        lengths[given] = np.bincount(at, weights=counts, minlength=len(given))
        parts.append((given[at], codes, counts))
    changed = np.array(numbers, dtype=np.int64)
    none = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    entries = [np.concatenate(column) for column in zip(*(parts or [none]))]
    return _tidied(TextIndex(old.vocabulary, postings.extend(old.postings, rows, changed, *entries), lengths))


def _tidied(index: TextIndex) -> TextIndex:
    """The same without the terms that no row has any more, once those are the most.

    Else a text that is altered in its row, and tells the time, would gather them: no compaction begins anew.
    """
    terms, segments = index.vocabulary.terms, index.postings.segments
    if len(terms) <= _WASTE_MIN + 2 * sum(len(segment.codes) for segment in segments):
        return index
    used = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(segment.codes for segment in segments)]))
    renumbered = tuple(replace(segment, codes=np.searchsorted(used, segment.codes)) for segment in segments)
    vocabulary = Vocabulary(terms[code] for code in used.tolist())
    return TextIndex(vocabulary, replace(index.postings, segments=renumbered), index.lengths)


def merged(old: TextIndex, alive: Mask | None = None) -> TextIndex:
    """The same in fewer segments; see `postings.merged`."""
    return replace(old, postings=postings.merged(old.postings, alive))


class _Numbered(dict[str, int]):
    """Distinct words of a batch, numbered as they come."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number


def _counted(vocabulary: Vocabulary, analyser: Analyser, texts: Sequence[str]) -> tuple[Rows, Codes, Weights]:
    """For every term of every text: the text's position, the term's code, how often it occurs."""
    numbered = _Numbered()
    words = [analyser.words(text) for text in texts]
    sizes = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    numbers = np.fromiter(
        map(numbered.__getitem__, chain.from_iterable(words)), dtype=np.int64, count=int(sizes.sum())
    )
    cut = list(map(vocabulary.cut_by(analyser).__getitem__, numbered))
    widths = np.fromiter(map(len, cut), dtype=np.int64, count=len(cut))
    flat = np.fromiter(chain.from_iterable(cut), dtype=np.int64, count=int(widths.sum()))
    starts = np.cumsum(widths) - widths
    # Each word of each text becomes as many entries as it has terms.
    repeated = widths[numbers]
    ends = np.cumsum(repeated)
    within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - repeated, repeated)
    codes = flat[np.repeat(starts[numbers], repeated) + within]
    positions = np.repeat(np.repeat(np.arange(len(texts)), sizes), repeated)
    keys = np.sort((positions << 32) | codes)
    firsts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else keys
    counts = np.diff(np.append(firsts, len(keys))).astype(np.float32)
    distinct = keys[firsts]
    return distinct >> 32, distinct & 0xFFFFFFFF, counts


# --- statistics ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Statistics:
    """What BM25 must know of the live rows of one version; worth keeping while `alive` is current."""

    alive: Mask | None
    """None when every row that has terms is live."""
    records: int
    damping: NDArray[np.float64]
    """By row, k1 · (1 − b + b · |d| / avg)."""
    least: float
    """The smallest damping of a live row that has terms."""


def statistics(index: TextIndex, alive: Mask) -> Statistics:
    """Of the live rows; `alive` is as long as the index.

    One pass over the rows: 0.4 ms for 70,000. The index that is asked must be this one.
    """
    present = index.lengths > 0
    counted = present & alive
    records = int(np.count_nonzero(counted))
    average = float(index.lengths[counted].mean(dtype=np.float64)) if records else 1.0
    damping = K1 * (1 - B + B * index.lengths.astype(np.float64) / average)
    least = float(damping.min(where=counted, initial=np.inf))
    everyone = records == int(np.count_nonzero(present))
    return Statistics(None if everyone else alive, records, damping, least)


# --- search -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Term:
    """A term's live entries and the weight that the question gives it."""

    rows: NDArray[np.int32]
    counts: Weights
    times: int
    """How often the question says it."""
    weight: float
    ceiling: float
    """No row's share of the score is larger."""


def search(
    index: TextIndex,
    terms: Iterable[str],
    k: int,
    stats: Statistics,
    allowed: Mask | None = None,
    positions: Rows | None = None,
) -> tuple[Rows, Scores]:
    """The best k rows and their scores, by descending score, then age.

    Args:
        terms: The question's, from the analyser that the index was made with; repetitions count.
        k: At most so many, 1 or more; fewer when fewer have any of the terms.
        stats: `statistics` of this very index.
        allowed: By row, whether it may be found; None: all live rows. The statistics are of all
            live rows even so.
        positions: By row, which record is older; None where rows say so.
    """
    wanted = sorted(_wanted(index, Counter(terms), stats), key=lambda term: len(term.rows))
    if not wanted:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
    scores = np.zeros(index.rows, dtype=np.float64)
    left = sum(term.ceiling for term in wanted)
    for at, term in enumerate(wanted):
        if at and len(term.rows) * _WORTH > index.rows:
            threshold = reached(scores if allowed is None else scores * allowed, k)
            if left * (1 + 1e-9) < threshold:
                rows = _possible(scores, threshold - left, allowed)
                remaining = wanted[at:]
                if len(rows) * len(remaining) * _LOOKUP < sum(len(one.rows) for one in remaining):
                    return _finish(scores, rows, remaining, k, stats, positions)
        rows = term.rows.astype(np.intp)
        scores[rows] += _shares(term, rows, term.counts, stats)
        left -= term.ceiling
    return best(scores, k, allowed, positions)


_WORTH = 40  # pruning is considered at terms that one row in so many has
_LOOKUP = 6  # looking a row up in a term's entries takes as long as adding so many of them


def _wanted(index: TextIndex, terms: Counter[str], stats: Statistics) -> Iterator[_Term]:
    for name, times in terms.items():
        code = index.vocabulary.codes.get(name)
        if code is None:
            continue
        rows, counts = index.postings.find(code)
        if stats.alive is not None:
            living = stats.alive[rows]
            rows, counts = rows[living], counts[living]
        if len(rows):
            weight = times * (K1 + 1) * _idf(len(rows), stats.records)
            most = float(counts.max())
            yield _Term(rows, counts, times, weight, weight * most / (most + stats.least))


def _idf(having: int, records: int) -> float:
    return float(np.log1p((records - having + 0.5) / (having + 0.5)))


def _shares(term: _Term, rows: Rows, counts: Weights, stats: Statistics) -> Scores:
    shares = stats.damping[rows]
    shares += counts
    np.divide(counts, shares, out=shares)
    shares *= term.weight
    return shares


def _possible(scores: Scores, least: float, allowed: Mask | None) -> Rows:
    """The rows that can still be among the best: their scores, but for rounding, reach the least."""
    rows = np.flatnonzero(scores >= least * (1 - 2e-9))
    return rows if allowed is None else rows[allowed[rows]]


def _finish(
    scores: Scores,
    rows: Rows,
    remaining: Sequence[_Term],
    k: int,
    stats: Statistics,
    positions: Rows | None,
) -> tuple[Rows, Scores]:
    """The best of these rows, once the remaining terms' shares are added to them."""
    found = scores[rows]
    for term in remaining:
        _add(term, rows, found, stats)
    places, ranked = best(found, k, None, aged(rows, positions))
    return rows[places], ranked


def judged(index: TextIndex, terms: Iterable[str], rows: Rows, stats: Statistics) -> tuple[Scores, Scores]:
    """The scores of given live rows, as `search` gives them, 0 without any of the terms; and how completely
    each says the question.

        completeness = s / (1 + n · (1 − s))

    s is the share of the question's idf that lies in terms which the row has, and n how many terms the
    question has, so that n · (1 − s) counts those that the row lacks: 1 with all of them, 0 with none. Terms
    that no live row has do not count; how often a row says a term, and how long the row is, does not matter.
    """
    rows = np.asarray(rows, dtype=np.int64)
    found, had = np.zeros((2, len(rows)))
    wanted = sorted(_wanted(index, Counter(terms), stats), key=lambda term: len(term.rows))
    for term in wanted:
        had[_add(term, rows, found, stats)] += term.weight
    if not wanted:
        return found, had
    # Python adds more exactly than NumPy since 3.12: what all terms make can be a little beyond their sum.
    share = np.minimum(had / sum(term.weight for term in wanted), 1.0)
    return found, share / (1.0 + sum(term.times for term in wanted) * (1.0 - share))


def _add(term: _Term, rows: Rows, found: Scores, stats: Statistics) -> Mask:
    """Add a term's shares to the scores of these rows; which have it."""
    order = _ascending(term)
    at = np.minimum(np.searchsorted(order.rows, rows), len(order.rows) - 1)
    have: Mask = order.rows[at] == rows
    found[have] += _shares(term, rows[have], order.counts[at[have]], stats)
    return have


def _ascending(term: _Term) -> _Term:
    """The entries in order of rows, as those of one segment already are."""
    if (term.rows[1:] > term.rows[:-1]).all():
        return term
    order = np.argsort(term.rows)
    return replace(term, rows=term.rows[order], counts=term.counts[order])


# --- files ------------------------------------------------------------------------------------------------


def pack(index: TextIndex) -> dict[str, NDArray[np.generic]]:
    """Everything as arrays of numbers, for a file."""
    encoded = [term.encode("utf-8", "surrogatepass") for term in index.vocabulary.terms]
    ends = np.cumsum(np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded)))
    return {
        **postings.arrays_of(index.postings),
        "lengths": index.lengths,
        "terms": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        "term-ends": ends,
    }


def unpack(arrays: dict[str, NDArray[np.generic]]) -> TextIndex:
    """What `pack` packed.

    Raises:
        ValueError, KeyError: The arrays are damaged, of another format, or incomplete.
    """
    text, ends = arrays["terms"].tobytes(), arrays["term-ends"].tolist()
    lengths = arrays["lengths"].astype(np.float32, copy=False)
    pieces = zip([0, *ends[:-1]], ends)
    vocabulary = Vocabulary(text[start:end].decode("utf-8", "surrogatepass") for start, end in pieces)
    return TextIndex(vocabulary, postings.from_arrays(arrays), lengths)
