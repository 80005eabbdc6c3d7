"""How do words and sparse vectors rank, alone or together with embeddings?

Each part ranks the allowed rows its own way: dense by similarity, text by BM25, sparse by the dot product
with the sparse vectors of a metadata key. A mixture takes the best of both, completes each part with the rows
that only the other has found, and fuses them: by nearness, scores and how completely a row says the question,
or by reciprocal ranks (`_rank/fusion.py`; docs/quality.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vicinal import _request as r
from vicinal._index import exact
from vicinal._index.view import Mask, Rows
from vicinal._rank import fusion, mmr
from vicinal._rank.fusion import Part, Scores
from vicinal._schema import sparse_keys
from vicinal._snapshot import Snapshot
from vicinal._text import bm25, sparse
from vicinal._words import Words
from vicinal.types import Space, SparseVector, Vector

Contributions = NDArray[np.float64]
_Judged = tuple[Scores, Scores | None]
"""Of given rows: the scores, and of words how completely each row says the question."""


@dataclass(frozen=True)
class Ranked:
    """Rows, best first, with their scores (larger is better) and what each part gave."""

    rows: Rows
    scores: Scores
    parts: Contributions
    """Shape (rows, parts): of a mixture the dense part and the other one, otherwise that alone."""
    strategy: str
    matches: int

    def at(self, places: NDArray[np.int64]) -> Ranked:
        """Those at these places."""
        return replace(self, rows=self.rows[places], scores=self.scores[places], parts=self.parts[places])


def ranked(
    snapshot: Snapshot, request: r.Search, ranking: r.Ranking, number: int, mask: Mask | None
) -> Ranked:
    """The best k rows for one of the request's queries."""
    deep = max(request.k, ranking.fetch_k)
    judge: Callable[[Rows], _Judged]
    if ranking.sparse is None:
        words = snapshot.words(ranking.field)
        terms = words.analyser.tokens(ranking.texts[number])
        said = text_part(words, terms, deep, mask, snapshot.view.positions)
        judge = partial(_judged_words, words, terms)
    else:
        query = ranking.sparse[number]
        said = sparse_part(snapshot, ranking.field, query, deep, mask)
        judge = partial(_judged_sparse, snapshot, ranking.field, query)
    if ranking.mode != "hybrid":
        matches = snapshot.view.matches(mask).count
        found = Ranked(*said, said[1][:, np.newaxis], _name(ranking), matches)
    else:
        found = _mixed(snapshot, request, ranking, request.embeddings[number], said, judge, mask)
    if request.mmr is not None:
        vectors = snapshot.view.vectors[found.rows]
        space = snapshot.live.hnsw.space
        # On the scale of a similarity, which reciprocal ranks, BM25's sums and dot products are not.
        relevance = found.scores / max(float(np.abs(found.scores).max(initial=0.0)), 1e-12)
        picked = mmr.select_by(space, relevance, vectors, request.k, request.mmr.lambda_mult)
        return found.at(np.array(picked, dtype=np.int64))
    return found.at(np.arange(min(request.k, len(found.rows))))


def _name(ranking: r.Ranking) -> str:
    return "words" if ranking.sparse is None else "sparse vectors"


def text_part(words: Words, terms: list[str], k: int, mask: Mask | None, positions: Rows | None) -> Part:
    """The k best rows by BM25, of those that the mask allows; only rows that have one of the terms."""
    return bm25.search(words.index, terms, k, words.statistics, mask, positions)


def _judged_words(words: Words, terms: list[str], rows: Rows) -> _Judged:
    return bm25.judged(words.index, terms, rows, words.statistics)


def sparse_part(snapshot: Snapshot, key: str, query: SparseVector, k: int, mask: Mask | None) -> Part:
    """The k rows with the largest dot product, of those that share a component with the query."""
    view = snapshot.view
    index = snapshot.sparse(key)
    idf = _has_idf(snapshot, key)
    return sparse.search(index, query.indices, query.values, k, view.alive, mask, idf, view.positions)


def _judged_sparse(snapshot: Snapshot, key: str, query: SparseVector, rows: Rows) -> _Judged:
    view = snapshot.view
    index = snapshot.sparse(key)
    scores = sparse.score(index, query.indices, query.values, rows, view.alive, _has_idf(snapshot, key))
    return scores, None


def _has_idf(snapshot: Snapshot, key: str) -> bool:
    """Whether the schema says that the sparse vectors of a key are BM25's, without their idf."""
    config = sparse_keys(snapshot.live.info.configuration.index_schema).get(key) or {}
    return bool(config.get("bm25"))


def _mixed(
    snapshot: Snapshot,
    request: r.Search,
    ranking: r.Ranking,
    query: Vector,
    said: Part,
    judge: Callable[[Rows], _Judged],
    mask: Mask | None,
) -> Ranked:
    space = snapshot.live.hnsw.space
    [(nearest, distances)], plan = snapshot.nearest(query[np.newaxis], max(request.k, ranking.fetch_k), mask)
    near = nearest, -distances  # as scores: the larger, the nearer
    if ranking.fusion == "rrf":
        fused = fusion.reciprocal([near, said], (ranking.alpha, 1.0 - ranking.alpha))
    else:
        vectors, rows = snapshot.view.vectors, np.union1d(near[0], said[0])
        nearness = fusion.completed(near, rows, lambda rows: -exact.measure(vectors, space, query, rows))
        distances = _from_zero(space, query, snapshot.view.norms[rows], -nearness)
        fused = fusion.complementary(rows, distances, *judge(rows), ranking.alpha)
    strategy = f"{plan.strategy} + {_name(ranking)}"
    found = Ranked(fused.rows, fused.scores, fused.contributions, strategy, plan.matches)
    found = found.at(np.lexsort((snapshot.view.positions_of(found.rows), -found.scores)))  # equal ones by age
    if request.max_distance is None:
        return found
    distances = exact.measure(snapshot.view.vectors, space, query, found.rows)
    return found.at(np.flatnonzero(distances <= request.max_distance))


def _from_zero(space: Space, query: Vector, lengths: Scores, distances: Scores) -> Scores:
    """Distances from 0 up. An inner product counts from the largest that these rows' lengths allow."""
    if space == "ip":
        most = lengths.max(initial=0.0) * np.linalg.norm(query.astype(np.float64))
        distances = distances + (most - 1.0)
    return np.maximum(distances, 0.0)
