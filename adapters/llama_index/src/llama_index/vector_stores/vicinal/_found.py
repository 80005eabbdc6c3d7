"""What has a query found, and how near is it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vicinal import Collection

SIMILARITY: dict[str, Callable[[float], float]] = {
    "cosine": lambda distance: 1.0 - distance,
    "ip": lambda distance: 1.0 - distance,
    "l2": lambda distance: 1.0 / (1.0 + distance),
}
"""By space, larger is nearer: the cosine, the inner product, 1 / (1 + squared L2 distance)."""


@dataclass(frozen=True)
class Found:
    """Nodes in order, as columns, with their similarities."""

    ids: list[str]
    documents: list[str | None]
    metadatas: list[Mapping[str, Any] | None]
    similarities: list[float]


NOTHING = Found([], [], [], [])


def found_by(collection: Collection, asked: Mapping[str, Any]) -> Found:
    """The answer to one question of `Collection.query`.

    Similarities are what the order was made by: a reranker's scores, the scores of words or of a
    mixture, or else nearness.
    """
    answer = collection.query(**asked)
    ranked = answer.get("rerank_scores") or answer.get("scores")
    if ranked is not None:
        similarities = ranked[0]
    else:
        similarity = SIMILARITY[collection.configuration_json["hnsw"]["space"]]
        similarities = [similarity(distance) for distance in answer["distances"][0]]
    return Found(answer["ids"][0], answer["documents"][0], answer["metadatas"][0], similarities)
