"""How do words rank, alone or together with vectors?

Each part ranks the allowed rows its own way: dense by similarity, text by BM25. A mixture takes the best of
both, completes each part with the rows that only the other has found, and fuses them: by scores relative to
what a part could give (TM2C2), or by reciprocal ranks (`_rank/fusion.py`; measured in docs/quality.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vicinal import _request as r
from vicinal._index import exact, planner
from vicinal._index.view import Mask, Rows
from vicinal._live import Snapshot
from vicinal._rank import fusion, mmr
from vicinal._rank.fusion import Part, Scores
from vicinal._text import bm25
from vicinal._words import Words
from vicinal.types import Space, Vector

Contributions = NDArray[np.float64]


@dataclass(frozen=True)
class Ranked:
    """Rows, best first, with their scores (larger is better) and what each part gave."""

    rows: Rows
    scores: Scores
    parts: Contributions
    """Shape (rows, parts): dense and text for a mixture, text alone otherwise."""
    strategy: str
    matches: int

    def at(self, places: NDArray[np.int64]) -> Ranked:
        """Those at these places."""
        return replace(self, rows=self.rows[places], scores=self.scores[places], parts=self.parts[places])


def ranked(
    snapshot: Snapshot, request: r.Search, ranking: r.Ranking, number: int, mask: Mask | None
) -> Ranked:
    """The best k rows for one of the request's queries."""
    words = snapshot.live.words.words(snapshot.tx, snapshot.view, ranking.field)
    terms = words.analyser.tokens(ranking.texts[number])
    deep = max(request.k, ranking.fetch_k)
    said = text_part(words, terms, deep, mask)
    if ranking.mode == "text":
        matches = snapshot.view.records if mask is None else int(np.count_nonzero(snapshot.view.alive & mask))
        found = Ranked(*said, said[1][:, np.newaxis], "words", matches)
    else:
        found = _mixed(snapshot, request, ranking, request.embeddings[number], said, words, terms, mask)
    if request.mmr is not None:
        vectors = snapshot.view.vectors[found.rows]
        space = snapshot.live.hnsw.space
        # On the scale of a similarity, which reciprocal ranks and BM25's sums are not.
        relevance = found.scores / max(float(found.scores.max(initial=0.0)), 1e-12)
        picked = mmr.select_by(space, relevance, vectors, request.k, request.mmr.lambda_mult)
        return found.at(np.array(picked, dtype=np.int64))
    return found.at(np.arange(min(request.k, len(found.rows))))


def text_part(words: Words, terms: list[str], k: int, mask: Mask | None) -> Part:
    """The k best rows by BM25, of those that the mask allows; only rows that have one of the terms."""
    return bm25.search(words.index, terms, k, words.statistics, mask)


def dense_part(snapshot: Snapshot, query: Vector, k: int, mask: Mask | None) -> tuple[Part, planner.Plan]:
    """The k most similar rows."""
    live, view = snapshot.live, snapshot.view
    [(rows, distances)], plan = planner.search(
        view, live.graph_of(view), live.codes_of(view), live.hnsw, query[np.newaxis], k, mask
    )
    return (rows, similarity(live.hnsw.space, distances)), plan


def similarity(space: Space, distances: Scores) -> Scores:
    """Larger is nearer: the cosine, the dot product, or 1 / (1 + squared distance)."""
    return 1.0 / (1.0 + distances) if space == "l2" else 1.0 - distances


def _mixed(
    snapshot: Snapshot,
    request: r.Search,
    ranking: r.Ranking,
    query: Vector,
    said: Part,
    words: Words,
    terms: list[str],
    mask: Mask | None,
) -> Ranked:
    space = snapshot.live.hnsw.space
    near, plan = dense_part(snapshot, query, max(request.k, ranking.fetch_k), mask)
    # Words that nobody has decide nothing; without this, all rows would share their part alike.
    weights = (ranking.alpha, 1.0 - ranking.alpha if len(said[0]) else 0.0)
    if ranking.fusion == "rrf":
        fused = fusion.reciprocal([near, said], weights)
    else:
        parts = fusion.completed(
            [near, said],
            [
                lambda rows: similarity(space, exact.measure(snapshot.view.vectors, space, query, rows)),
                partial(_scores, words, terms),
            ],
        )
        fused = fusion.theoretical(parts, [_lowest(space, parts[0][1]), 0.0], weights)
    found = Ranked(fused.rows, fused.scores, fused.contributions, f"{plan.strategy} + words", plan.matches)
    if request.max_distance is None:
        return found
    distances = exact.measure(snapshot.view.vectors, space, query, found.rows)
    return found.at(np.flatnonzero(distances <= request.max_distance))


def _scores(words: Words, terms: list[str], rows: Rows) -> Scores:
    return bm25.score(words.index, terms, rows, words.statistics)


def _lowest(space: Space, scores: Scores) -> float:
    """The least similarity that there can be; of a dot product, the least that was found."""
    if space == "ip":
        return float(scores.min(initial=0.0))
    return -1.0 if space == "cosine" else 0.0
