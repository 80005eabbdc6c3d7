"""By what are records ranked?

An expression over rankings: `Knn` finds the records nearest to a query and gives each a score, `Val` is the
same number for all, and arithmetic makes a score of scores. Trees are frozen; `to_dict` and `Rank.from_dict`
write and read Chroma's JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, TypeVar

import numpy as np

from vicinal._given import is_number, listed, number, whole
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown
from vicinal.search._keys import K, name_of
from vicinal.types import SparseVector

DEPTH_MAX = 100
"""How deep expressions may nest; deeper is refused, not a crash of the interpreter."""


class Rank:
    """An expression that gives records a score; the lowest score is the best."""

    __array_ufunc__: ClassVar[None] = None  # numpy's numbers leave the arithmetic to us

    def to_dict(self) -> dict[str, Any]:
        """The expression as JSON."""
        raise NotImplementedError

    @staticmethod
    def from_dict(data: Any) -> Rank:
        """The expression that `to_dict` wrote."""
        return _read(data, "rank", 0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rank) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> Rank:
        return _joined(Sum, self, other)

    def __radd__(self, other: Any) -> Rank:
        return _joined(Sum, other, self)

    def __sub__(self, other: Any) -> Rank:
        return _apart(Sub, self, other)

    def __rsub__(self, other: Any) -> Rank:
        return _apart(Sub, other, self)

    def __mul__(self, other: Any) -> Rank:
        return _joined(Mul, self, other)

    def __rmul__(self, other: Any) -> Rank:
        return _joined(Mul, other, self)

    def __truediv__(self, other: Any) -> Rank:
        return _apart(Div, self, other)

    def __rtruediv__(self, other: Any) -> Rank:
        return _apart(Div, other, self)

    def __neg__(self) -> Rank:
        return Mul((Val(-1), self))

    def __abs__(self) -> Rank:
        return Abs(self)

    def abs(self) -> Rank:
        """The absolute value of the score."""
        return Abs(self)

    def exp(self) -> Rank:
        """e to the power of the score."""
        return Exp(self)

    def log(self) -> Rank:
        """The natural logarithm of the score; of a negative one, NaN, which ranks last."""
        return Log(self)

    def max(self, other: Any) -> Rank:
        """The greater of two scores."""
        return _joined(Max, self, _given(other))

    def min(self, other: Any) -> Rank:
        """The lesser of two scores."""
        return _joined(Min, self, _given(other))


@dataclass(frozen=True, eq=False)
class Val(Rank):
    """The same score for every record; it finds none by itself."""

    value: float

    def __post_init__(self) -> None:
        number(self.value, "Val")
        object.__setattr__(self, "value", _plain(self.value))

    def to_dict(self) -> dict[str, Any]:
        """`{"$val": number}`."""
        return {"$val": self.value}


@dataclass(frozen=True, eq=False)
class Knn(Rank):
    """The records nearest to a query, of those that the search's filter selects.

    Args:
        query: A text, to be embedded by the function of the collection or, for another key, of its schema; a
            vector; or a `SparseVector`.
        key: What is searched. `#embedding` by default, where a score is the distance, as in `query`; a
            metadata key that holds sparse vectors, where it is 1 − dot product; or `#document`, which Chroma
            lacks: the words of a text, where it is 1 − BM25.
        limit: At most so many records are found.
        default: The score of the records that are not found here but by another part of the expression;
            without one they get no score and are left out.
        return_rank: Give the place, from 0, instead of the score.
    """

    query: Any
    key: Any = K.EMBEDDING
    limit: int = 16
    default: float | None = None
    return_rank: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", name_of(self.key, "Knn key"))
        query = self.query
        if isinstance(query, Mapping):
            object.__setattr__(self, "query", SparseVector.from_dict(query))
        elif not isinstance(query, (str, SparseVector, Sequence, np.ndarray)):
            raise ArgumentTypeError(
                argument="Knn query", expected="a text, a vector or a SparseVector", got=query
            )
        object.__setattr__(self, "limit", whole(self.limit, "Knn limit", 1))
        if self.default is not None:
            number(self.default, "Knn default")
            object.__setattr__(self, "default", _plain(self.default))
        if not isinstance(self.return_rank, (bool, np.bool_)):
            raise ArgumentTypeError(
                argument="Knn return_rank", expected="True or False", got=self.return_rank
            )

    def to_dict(self) -> dict[str, Any]:
        """`{"$knn": {"query", "key", "limit"}}`, with `default` and `return_rank` when they are given."""
        query = self.query
        if isinstance(query, SparseVector):
            query = query.to_dict()
        elif isinstance(query, np.ndarray):
            query = query.tolist()
        elif not isinstance(query, str):
            query = [_plain(part) for part in query]
        written = {"query": query, "key": self.key, "limit": self.limit}
        if self.default is not None:
            written["default"] = self.default
        if self.return_rank:
            written["return_rank"] = True
        return {"$knn": written}


@dataclass(frozen=True, eq=False)
class _One(Rank):
    rank: Rank

    def __post_init__(self) -> None:
        object.__setattr__(self, "rank", _given(self.rank))

    def to_dict(self) -> dict[str, Any]:
        """The operator's name and its operand."""
        return {_NAMES[type(self)]: self.rank.to_dict()}


class Abs(_One):
    """The absolute value of a score."""


class Exp(_One):
    """e to the power of a score."""


class Log(_One):
    """The natural logarithm of a score."""


@dataclass(frozen=True, eq=False)
class _Two(Rank):
    left: Rank
    right: Rank

    def __post_init__(self) -> None:
        object.__setattr__(self, "left", _given(self.left))
        object.__setattr__(self, "right", _given(self.right))

    def to_dict(self) -> dict[str, Any]:
        """The operator's name and its `left` and `right`."""
        return {_NAMES[type(self)]: {"left": self.left.to_dict(), "right": self.right.to_dict()}}


class Sub(_Two):
    """One score less another."""


class Div(_Two):
    """One score divided by another."""


@dataclass(frozen=True, eq=False)
class _Many(Rank):
    ranks: Sequence[Rank]

    def __post_init__(self) -> None:
        name = type(self).__name__
        ranks = _several(self.ranks, name)
        if not ranks:
            raise InvalidArgumentError(f"{name} needs at least one rank")
        object.__setattr__(self, "ranks", ranks)

    def to_dict(self) -> dict[str, Any]:
        """The operator's name and its operands."""
        return {_NAMES[type(self)]: [rank.to_dict() for rank in self.ranks]}


class Sum(_Many):
    """Scores added."""


class Mul(_Many):
    """Scores multiplied."""


class Max(_Many):
    """The greatest of scores."""


class Min(_Many):
    """The least of scores."""


@dataclass(frozen=True, eq=False)
class Rrf(Rank):
    """Reciprocal rank fusion: −Σ weight / (k + rank), of ranks that are places (`return_rank=True`).

    Args:
        ranks: One expression or more.
        k: How little the first places stand out; above 0.
        weights: One for each, none negative; 1 unless given.
        normalize: Divide the weights by their sum.

    Source: Cormack, Clarke and Büttcher, SIGIR 2009.
    """

    ranks: Sequence[Rank]
    k: int = 60
    weights: Sequence[float] | None = None
    normalize: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranks", _several(self.ranks, "Rrf ranks"))
        if not self.ranks:
            raise InvalidArgumentError("RRF requires at least one rank")
        if number(self.k, "Rrf k") <= 0:
            raise InvalidArgumentError(f"Rrf k must be positive, got {self.k}")
        if self.weights is not None:
            given = listed(self.weights, "Rrf weights", "a list of numbers")
            object.__setattr__(self, "weights", tuple(given))  # read again when it is expanded
        weights = [1.0] * len(self.ranks) if self.weights is None else list(self.weights)
        if len(weights) != len(self.ranks):
            raise InvalidArgumentError(
                f"Rrf: Number of weights ({len(weights)}) must match number of ranks ({len(self.ranks)})"
            )
        if any(number(weight, "Rrf weights") < 0 for weight in weights):
            raise InvalidArgumentError(f"Rrf: All weights must be non-negative, got {weights}")
        if self.normalize and not sum(weights):
            raise InvalidArgumentError("Rrf: Sum of weights must be positive when normalize=True")

    def expanded(self) -> Rank:
        """The same in terms of the other operators."""
        weights = [1.0] * len(self.ranks) if self.weights is None else list(self.weights)
        whole = sum(weights) if self.normalize else 1.0
        parts = [weight / whole / (self.k + rank) for weight, rank in zip(weights, self.ranks)]
        return -reduce(lambda one, other: one + other, parts)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `expanded`: there is no operator of this name."""
        return self.expanded().to_dict()


_NAMES: dict[type[_One | _Two | _Many], str] = {
    Abs: "$abs",
    Exp: "$exp",
    Log: "$log",
    Sub: "$sub",
    Div: "$div",
    Sum: "$sum",
    Mul: "$mul",
    Max: "$max",
    Min: "$min",
}
_CLASSES = {name: cls for cls, name in _NAMES.items()}


def resolved(rank: Rank, change: Callable[[Knn], Rank], depth: int = 0) -> Rank:
    """The expression with every `Knn` changed, and every `Rrf` expanded."""
    if depth > DEPTH_MAX:
        raise InvalidArgumentError(f"rank: expressions may nest at most {DEPTH_MAX} deep")
    if isinstance(rank, Knn):
        return change(rank)
    if isinstance(rank, Rrf):
        return resolved(rank.expanded(), change, depth + 1)
    if isinstance(rank, _One):
        return type(rank)(resolved(rank.rank, change, depth + 1))
    if isinstance(rank, _Two):
        return type(rank)(resolved(rank.left, change, depth + 1), resolved(rank.right, change, depth + 1))
    if isinstance(rank, _Many):
        return type(rank)(tuple(resolved(child, change, depth + 1) for child in rank.ranks))
    return rank


# --- how ---------------------------------------------------------------------------------------

_ManyClass = TypeVar("_ManyClass", bound=_Many)
_TwoClass = TypeVar("_TwoClass", bound=_Two)


def _joined(cls: type[_ManyClass], left: Any, right: Any) -> Rank:
    """An operator whose order does not matter; operands that are of it already are taken in."""
    parts: list[Rank] = []
    for side in (left, right):
        if not isinstance(side, Rank) and not is_number(side):
            return NotImplemented  # type: ignore[no-any-return]
        rank = _given(side)
        parts += rank.ranks if isinstance(rank, cls) else [rank]
    return cls(parts)


def _apart(cls: type[_TwoClass], left: Any, right: Any) -> Rank:
    if not all(isinstance(side, Rank) or is_number(side) for side in (left, right)):
        return NotImplemented  # type: ignore[no-any-return]
    return cls(_given(left), _given(right))


def _given(value: Any) -> Rank:
    if isinstance(value, Rank):
        return value
    if is_number(value):
        return Val(value)
    raise ArgumentTypeError(argument="rank", expected="a rank expression or a number", got=value)


def _several(ranks: Any, argument: str) -> tuple[Rank, ...]:
    return tuple(map(_given, listed(ranks, argument, "a list of rank expressions")))


def _plain(value: Any) -> Any:
    """The number that JSON has for numpy's, or for a fraction."""
    plain = value.item() if isinstance(value, np.generic) else value
    return float(plain) if is_number(plain) and not isinstance(plain, (int, float)) else plain


def _read(data: Any, path: str, depth: int) -> Rank:
    if isinstance(data, Rank):
        return data
    if depth > DEPTH_MAX:
        raise InvalidArgumentError(f"rank: expressions may nest at most {DEPTH_MAX} deep")
    if not isinstance(data, Mapping):
        raise ArgumentTypeError(argument=path, expected="a rank expression or a dict", got=data)
    if len(data) != 1:
        raise InvalidArgumentError(f"{path}: expected exactly one operator, got {shown(dict(data))}")
    name, operand = next(iter(data.items()))
    here = f'{path}["{name}"]'
    if name == "$val":
        return Val(operand)
    if name == "$knn":
        return _read_knn(operand, here)
    cls = _CLASSES.get(name)
    if cls is None:
        known = ", ".join(["$val", "$knn", *_CLASSES])
        raise InvalidArgumentError(f"{path}: expected one of {known}; got {name!r}")
    if issubclass(cls, _One):
        return cls(_read(operand, here, depth + 1))
    if issubclass(cls, _Two):
        if not isinstance(operand, Mapping) or operand.keys() != {"left", "right"}:
            raise InvalidArgumentError(f"{here}: expected a dict with left and right, got {shown(operand)}")
        sides = (_read(operand[side], f'{here}["{side}"]', depth + 1) for side in ("left", "right"))
        return cls(*sides)
    if not isinstance(operand, (list, tuple)) or len(operand) < 2:
        raise InvalidArgumentError(f"{here}: expected a list of at least 2 ranks, got {shown(operand)}")
    ranks = [_read(child, f"{here}[{i}]", depth + 1) for i, child in enumerate(operand)]
    return reduce(lambda one, other: _joined(cls, one, other), ranks)


def _read_knn(operand: Any, path: str) -> Knn:
    if not isinstance(operand, Mapping) or "query" not in operand:
        raise InvalidArgumentError(f"{path}: expected a dict with a query, got {shown(operand)}")
    unknown = operand.keys() - {"query", "key", "limit", "default", "return_rank"}
    if unknown:
        raise InvalidArgumentError(f"{path}: unexpected {', '.join(sorted(map(str, unknown)))}")
    return Knn(**operand)
