"""Where may Vicinal answer otherwise than Chroma 1.5.9, and why?

The one list: the differential tests accept these differences and no others, and docs/chroma-compatibility.md
explains each. `applies` sees the call and both outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vicinal import errors


@dataclass(frozen=True)
class Call:
    """One call of a collection's method."""

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{self.method}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


@dataclass(frozen=True)
class Outcome:
    """What a call returned, or raised."""

    answer: Any = None
    error: BaseException | None = None

    def __repr__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}" if self.error else repr(self.answer)


@dataclass(frozen=True)
class Difference:
    """`title` is the heading in docs/chroma-compatibility.md under which it is explained."""

    title: str
    reason: str
    applies: Callable[[Call, Outcome, Outcome], bool]


def operands(where: Any) -> Iterator[tuple[str, Any]]:
    """Every (operator, operand) of a filter."""
    if isinstance(where, dict):
        for key, value in where.items():
            if key in {"$and", "$or"} and isinstance(value, list):
                for child in value:
                    yield from operands(child)
            elif isinstance(value, dict):
                yield from value.items()
            else:
                yield ("$eq", value)


def _scalars(where: Any) -> list[Any]:
    found = []
    for _, operand in operands(where):
        found += operand if isinstance(operand, list) else [operand]
    return found


def _compares_fractions(call: Call, theirs: Outcome, ours: Outcome) -> bool:
    return not (theirs.error or ours.error) and any(
        isinstance(one, float) and one % 1 for one in _scalars(call.arguments.get("where"))
    )


def _mixes_numbers(call: Call, theirs: Outcome, ours: Outcome) -> bool:
    """`$contains` of a list, where an integer meets a float."""
    return not (theirs.error or ours.error) and any(
        operator in {"$contains", "$not_contains"} and type(operand) in {int, float}
        for operator, operand in operands(call.arguments.get("where"))
    )


def _accepts(*names: str) -> Callable[[Call, Outcome, Outcome], bool]:
    """Chroma refuses an empty list, and Vicinal takes it for what it is."""

    def applies(call: Call, theirs: Outcome, ours: Outcome) -> bool:
        return (
            theirs.error is not None and ours.error is None and any(_is_empty(call, name) for name in names)
        )

    return applies


def _is_empty(call: Call, name: str) -> bool:
    value = call.arguments.get(name)
    if name == "metadatas" and value:
        return any(isinstance(one, dict) and not one for one in value)
    return isinstance(value, (list, tuple)) and not len(value)


def _in_mixes_numbers(call: Call, theirs: Outcome, ours: Outcome) -> bool:
    return (
        theirs.error is not None
        and ours.error is None
        and any(
            operator in {"$in", "$nin"}
            and isinstance(operand, list)
            and {type(one) for one in operand} == {int, float}
            for operator, operand in operands(call.arguments.get("where"))
        )
    )


def _orders_strings(call: Call, theirs: Outcome, ours: Outcome) -> bool:
    return (
        theirs.error is not None
        and ours.error is None
        and any(
            operator in {"$gt", "$gte", "$lt", "$lte"} and isinstance(operand, str)
            for operator, operand in operands(call.arguments.get("where"))
        )
    )


def _unknown_ids(call: Call, theirs: Outcome, ours: Outcome) -> bool:
    return "Error finding id" in str(theirs.error) and ours.error is None


def _stores_uris(call: Call, theirs: Outcome, ours: Outcome) -> bool:
    return "Exactly one of" in str(theirs.error) and "uris" in call.arguments and ours.error is None


def _has_no_dimension(call: Call, theirs: Outcome, ours: Outcome) -> bool:
    return "expecting embedding with dimension" in str(theirs.error) and ours.error is None


def _breaks_ties(call: Call, theirs: Outcome, ours: Outcome) -> bool:
    """The same distances, and the same records at each but the last of them, where not all have room."""
    if call.method != "query" or theirs.error or ours.error:
        return False
    if theirs.answer["distances"] != ours.answer["distances"]:
        return False
    return all(
        {id for id, distance in zip(one, distances) if distance < distances[-1]}
        == {id for id, distance in zip(other, distances) if distance < distances[-1]}
        for one, other, distances in zip(theirs.answer["ids"], ours.answer["ids"], ours.answer["distances"])
    )


def _takes_none(call: Call, theirs: Outcome, ours: Outcome) -> bool:
    """Metadata with None, NaN or an empty or mixed list among its values."""
    return (
        theirs.error is not None
        and ours.error is None
        and any(
            isinstance(one, dict)
            and any(
                value is None
                or (isinstance(value, list) and len({type(item) for item in value}) != 1)
                or (isinstance(value, float) and not math.isfinite(value))
                for value in one.values()
            )
            for one in call.arguments.get("metadatas") or ()
        )
    )


DIFFERENCES = (
    Difference(
        "Comparison is mathematical",
        "Chroma truncates a float operand when it compares with integers",
        _compares_fractions,
    ),
    Difference(
        "Comparison is mathematical",
        "Chroma's $contains does not find 1 in [1.0]",
        _mixes_numbers,
    ),
    Difference(
        "Names",
        "$in may mix integers and floats, which are compared as numbers",
        _in_mixes_numbers,
    ),
    Difference("Added", "$gt … order strings too", _orders_strings),
    Difference(
        "Empty lists are not errors",
        "there is nothing to do, and programs that build lists need no special case",
        _accepts("ids", "metadatas", "embeddings", "documents", "query_embeddings"),
    ),
    Difference("Added", "query(ids=…) skips ids that are not there; Chroma fails", _unknown_ids),
    Difference("URIs beside documents are stored", "they do no harm", _stores_uris),
    Difference("Added", "metadata is any JSON", _takes_none),
    Difference(
        "Equal distances are broken by age",
        "in Chroma the walk through its graph breaks them, which seldom is insertion order",
        _breaks_ties,
    ),
    Difference(
        "The first record fixes the dimension",
        "in Chroma, an update that finds no record does so, too",
        _has_no_dimension,
    ),
)


def explained(call: Call, theirs: Outcome, ours: Outcome) -> Difference | None:
    """The difference that allows these two outcomes."""
    return next((one for one in DIFFERENCES if one.applies(call, theirs, ours)), None)


ACCIDENTS = frozenset({"InternalError", "AttributeError", "IndexError", "OverflowError", "PanicException"})


def catches(theirs: BaseException, ours: BaseException) -> bool:
    """Whether code that catches Chroma's error, by its own class or a built-in one, catches ours.

    What Chroma did not foresee, and fails at by accident, nobody catches by its class; any of ours will do.
    """
    name = type(theirs).__name__
    if name in ACCIDENTS or not isinstance(ours, errors.VicinalError):
        return isinstance(ours, errors.VicinalError)
    if type(theirs).__module__.startswith("chromadb"):
        return isinstance(ours, getattr(errors, name, ()))
    return isinstance(ours, type(theirs))
