"""In which order does a reranker put what was found?

A reranker reads the question together with each document, which is slow and good, so it is given only the
best few of a search. Any callable will do: `(query, documents) -> scores`, larger is better; an object with
`predict(pairs)`, as the cross-encoders of sentence-transformers have; or a registered name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from inspect import iscoroutinefunction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal import _request as r
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

Reranker = Callable[[str, "list[str]"], Sequence[float]]

_REGISTERED: dict[str, Reranker] = {}


def register_reranker(name: str, reranker: Any) -> None:
    """Make a reranker known to this process by a name, for `query(rerank=name)`; the last one counts.

    Raises `ArgumentTypeError` for a name that is no str, and for what cannot rerank.
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(argument="name", expected="a str", got=name)
    _REGISTERED[name] = reranker_of(reranker)


def reranker_of(given: Any) -> Reranker:
    """The function behind what the caller gave."""
    if isinstance(given, str):
        if given not in _REGISTERED:
            known = ", ".join(sorted(_REGISTERED)) or "none"
            raise InvalidArgumentError(
                f"rerank: no reranker is registered as {given!r} (known: {known}); call "
                "vicinal.register_reranker(name, function) first, or pass the function itself"
            )
        return _REGISTERED[given]
    predict = getattr(given, "predict", None)
    if callable(predict):
        return lambda query, documents: list(predict([(query, document) for document in documents]))
    if iscoroutinefunction(given):
        raise InvalidArgumentError(
            "rerank: the reranker is a coroutine function, and is called without being awaited; give a plain "
            "function (an async client runs it on a thread)"
        )
    if callable(given):
        return given  # type: ignore[no-any-return]
    raise ArgumentTypeError(
        argument="rerank", expected="a function (query, documents) -> scores, or a registered name", got=given
    )


def _judged(part: r.Records, query: str, rerank: Reranker) -> tuple[list[int], NDArray[np.float64]]:
    """In which order what was found stands, best first, and the scores; without a document comes last."""
    documents = part.documents or []
    lacking = np.array([document is None for document in documents], dtype=np.bool_)
    scores = np.full(len(documents), -np.inf)
    having = np.flatnonzero(~lacking)
    if len(having):
        scores[having] = _checked(rerank(query, [documents[at] or "" for at in having]), len(having))
    return np.lexsort((-scores, lacking)).tolist(), scores


def _in_order(part: r.Records, order: list[int], scores: NDArray[np.float64]) -> r.Records:
    """Every column in this order, and the reranker's scores."""
    chosen: dict[str, Any] = {}
    for column in fields(part):
        values = getattr(part, column.name)
        if values is not None:
            chosen[column.name] = (
                values[order] if isinstance(values, np.ndarray) else [values[at] for at in order]
            )
    chosen["rerank_scores"] = scores[order].tolist()
    return replace(part, **chosen)


def _checked(given: Any, count: int) -> NDArray[np.float64]:
    """What a reranker gave, when it is a number for each document."""
    try:
        scores = np.asarray(given if hasattr(given, "__len__") else list(given), dtype=np.float64)
    except OverflowError:
        raise InvalidArgumentError(
            "rerank: the reranker gave a score that is too large for a float"
        ) from None
    except (TypeError, ValueError):
        scores = np.empty((0, 0))
    if scores.ndim == 2 and scores.shape[1:] == (1,):  # as some models shape them
        scores = scores[:, 0]
    if scores.ndim != 1:
        raise InvalidArgumentError(
            f"rerank: expected numbers from the reranker, one for each of {count} documents; got "
            f"{str(given)[:80]}"
        )
    if len(scores) != count:
        raise InvalidArgumentError(
            f"rerank: the reranker gave {len(scores)} scores for {count} documents; it must give one for each"
        )
    if np.isnan(scores).any():
        raise InvalidArgumentError("rerank: the reranker gave a score that is not a number")
    return scores


def rerank_answer(answer: r.Answer, queries: Sequence[str], rerank: Reranker, k: int) -> r.Answer:
    """The best k of what was found for each query, and of the explanation what belongs to them."""
    judged = [_judged(part, query, rerank) for part, query in zip(answer.parts, queries)]
    orders = [order[:k] for order, _ in judged]
    parts = tuple(
        _in_order(part, order, scores) for part, order, (_, scores) in zip(answer.parts, orders, judged)
    )
    explanation = answer.explanation
    if explanation is not None and explanation.contributions is not None:
        given = zip(explanation.contributions, orders)
        shares = tuple(tuple(of_query[at] for at in order) for of_query, order in given)
        explanation = replace(explanation, contributions=shares)
    return replace(answer, parts=parts, explanation=explanation)
