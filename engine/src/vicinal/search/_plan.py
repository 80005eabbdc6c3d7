"""What is wanted of a search: which records, ranked how, grouped, how many, with which columns?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vicinal._given import whole
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown
from vicinal.search._keys import SPECIAL, K, Where, names_of
from vicinal.search._ranks import Rank


@dataclass(frozen=True)
class Limit:
    """At most so many results, after skipping so many; None: all of them."""

    offset: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "offset", whole(self.offset, "limit offset", 0))
        if self.limit is not None:
            object.__setattr__(self, "limit", whole(self.limit, "limit", 1))

    def to_dict(self) -> dict[str, Any]:
        """`{"offset": n}`, and `limit` if there is one."""
        return {"offset": self.offset} | ({} if self.limit is None else {"limit": self.limit})

    @classmethod
    def from_dict(cls, data: Any) -> Limit:
        """What `to_dict` wrote."""
        return cls(**_fields(data, "limit", {"offset", "limit"}))


@dataclass(frozen=True)
class Select:
    """The columns of the answer: `K.DOCUMENT`, `K.EMBEDDING`, `K.METADATA`, `K.SCORE`, metadata keys.

    Ids always come. Metadata keys alone make dictionaries of just these.
    """

    keys: Any = ()

    def __post_init__(self) -> None:
        names = names_of(self.keys, "select")
        for name in names:
            if name.startswith("#") and name not in SPECIAL:
                raise InvalidArgumentError(
                    f"select: expected one of {', '.join(sorted(SPECIAL))} or a metadata key, got {name!r}"
                )
        object.__setattr__(self, "keys", names)

    def to_dict(self) -> dict[str, Any]:
        """`{"keys": [names]}`."""
        return {"keys": list(self.keys)}

    @classmethod
    def from_dict(cls, data: Any) -> Select:
        """What `to_dict` wrote."""
        return cls(**_fields(data, "select", {"keys"}))


@dataclass(frozen=True)
class Aggregate:
    """Which records of a group are kept; see `MinK` and `MaxK`."""

    keys: Any
    k: int

    def __post_init__(self) -> None:
        names = names_of(self.keys, f"{type(self).__name__} keys")
        if not names:
            raise InvalidArgumentError(f"{type(self).__name__} keys cannot be empty")
        _metadata_keys(names, f"{type(self).__name__} keys", K.SCORE.name)
        object.__setattr__(self, "keys", names)
        object.__setattr__(self, "k", whole(self.k, f"{type(self).__name__} k", 1))

    def to_dict(self) -> dict[str, Any]:
        """`{"$min_k": {"keys", "k"}}` or `$max_k`."""
        name = "$max_k" if isinstance(self, MaxK) else "$min_k"
        return {name: {"keys": list(self.keys), "k": self.k}}

    @staticmethod
    def from_dict(data: Any) -> Aggregate:
        """What `to_dict` wrote."""
        given = _fields(data, "aggregate", {"$min_k", "$max_k"})
        if len(given) != 1:
            raise InvalidArgumentError(f"aggregate: expected one of $min_k and $max_k, got {shown(data)}")
        name, inside = next(iter(given.items()))
        fields = _fields(inside, name, {"keys", "k"})
        if fields.keys() != {"keys", "k"}:
            raise InvalidArgumentError(f"{name}: expected keys and k, got {shown(inside)}")
        return (MinK if name == "$min_k" else MaxK)(**fields)


class MinK(Aggregate):
    """The k records of each group whose values under these keys are the least; the first key decides."""


class MaxK(Aggregate):
    """The k records of each group whose values under these keys are the greatest; the first key decides."""


@dataclass(frozen=True)
class GroupBy:
    """Of the records that are equal under these metadata keys, only those that the aggregate keeps."""

    keys: Any = ()
    aggregate: Aggregate | None = None

    def __post_init__(self) -> None:
        names = names_of(self.keys, "group_by keys")
        _metadata_keys(names, "group_by keys")
        if bool(names) != (self.aggregate is not None):
            raise InvalidArgumentError("group_by needs both keys and an aggregate, MinK(…) or MaxK(…)")
        if self.aggregate is not None and not isinstance(self.aggregate, (MinK, MaxK)):
            raise ArgumentTypeError(
                argument="group_by aggregate", expected="MinK(…) or MaxK(…)", got=self.aggregate
            )
        object.__setattr__(self, "keys", names)

    def to_dict(self) -> dict[str, Any]:
        """`{"keys", "aggregate"}`; nothing for no grouping."""
        if self.aggregate is None:
            return {}
        return {"keys": list(self.keys), "aggregate": self.aggregate.to_dict()}

    @classmethod
    def from_dict(cls, data: Any) -> GroupBy:
        """What `to_dict` wrote."""
        given = _fields(data, "group_by", {"keys", "aggregate"})
        if given.get("aggregate") is not None:
            given["aggregate"] = Aggregate.from_dict(given["aggregate"])
        return cls(**given)


class Search:
    """One search, for `Collection.search`. It does not change: every method returns another.

    Args:
        where: A filter made with `K`, or a `where` dictionary.
        rank: An expression, or its JSON; without one, records come in the order in which they were added.
        group_by: A `GroupBy` or its JSON; needs a rank.
        limit: A number, a `Limit` or its JSON.
        select: Keys or their names, a `Select` or its JSON; without any, the answer has ids alone.

    Raises `InvalidArgumentError`, and `InvalidFilterError` for the filter.

    Example:
        >>> from vicinal import K, Knn, Search
        >>> search = Search().where(K("year") > 2000).rank(Knn(query=[1, 0], limit=50)).limit(5)
        >>> search.select(K.DOCUMENT, K.SCORE).to_dict()["select"]
        {'keys': ['#document', '#score']}
    """

    def __init__(
        self,
        where: Any = None,
        rank: Any = None,
        group_by: Any = None,
        limit: Any = None,
        select: Any = None,
    ) -> None:
        self._where = None if where is None else Where.from_dict(where)
        self._rank = None if rank is None else Rank.from_dict(rank)
        self._group_by = _one_of(GroupBy, group_by, GroupBy.from_dict)
        self._limit = _one_of(Limit, limit, lambda count: Limit(limit=count))
        self._select = _one_of(Select, select, Select)

    def where(self, where: Any) -> Search:
        """Only records that this filter selects."""
        return Search(where, self._rank, self._group_by, self._limit, self._select)

    def rank(self, rank_expr: Any) -> Search:
        """Ranked by this expression."""
        return Search(self._where, rank_expr, self._group_by, self._limit, self._select)

    def group_by(self, group_by: Any) -> Search:
        """Grouped by this."""
        return Search(self._where, self._rank, group_by, self._limit, self._select)

    def limit(self, limit: int | None, offset: int = 0) -> Search:
        """At most so many results, after skipping so many."""
        return Search(self._where, self._rank, self._group_by, Limit(offset, limit), self._select)

    def select(self, *keys: Any) -> Search:
        """With these columns."""
        return Search(self._where, self._rank, self._group_by, self._limit, Select(keys))

    def select_all(self) -> Search:
        """With documents, embeddings, metadata and scores."""
        return self.select(K.DOCUMENT, K.EMBEDDING, K.METADATA, K.SCORE)

    def to_dict(self) -> dict[str, Any]:
        """The search as JSON: `filter`, `rank`, `group_by`, `limit` and `select`.

        Values of the filter that JSON has not (dates, decimals, UUIDs, bytes, sets, arrays) stay as they are.
        """
        return {
            "filter": None if self._where is None else self._where.to_dict(),
            "rank": None if self._rank is None else self._rank.to_dict(),
            "group_by": self._group_by.to_dict(),
            "limit": self._limit.to_dict(),
            "select": self._select.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Search:
        """What `to_dict` wrote; the filter may also be called `where`, as in Chroma's documentation."""
        given = _fields(data, "search", {"filter", "where", "rank", "group_by", "limit", "select"})
        condition = given.pop("filter", None)
        if condition is not None:
            if given.get("where") is not None:
                raise InvalidArgumentError(
                    "search: filter and where both say which records: give one of them"
                )
            given["where"] = condition
        return cls(**given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Search) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Search({self.to_dict()!r})"


def _one_of(cls: Any, value: Any, made: Callable[[Any], Any]) -> Any:
    """An instance, from itself, from its JSON, made of something else, or the one that says nothing."""
    if value is None:
        return cls()
    if isinstance(value, cls):
        return value
    return cls.from_dict(value) if isinstance(value, Mapping) else made(value)


def _fields(data: Any, argument: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise ArgumentTypeError(argument=argument, expected="a dict", got=data)
    unknown = sorted(str(key) for key in data.keys() - known)
    if unknown:
        raise InvalidArgumentError(
            f"{argument}: expected {', '.join(sorted(known))}; got {', '.join(unknown)}"
        )
    return dict(data)


def _metadata_keys(names: tuple[str, ...], argument: str, besides: str = "") -> None:
    for name in names:
        if name.startswith("#") and name != besides:
            wanted = f"metadata keys or {besides}" if besides else "metadata keys"
            raise InvalidArgumentError(f"{argument}: expected {wanted}, got {name!r}")
