"""What can a filter say, and what does each part of it mean?

A filter is a tree of these nodes. Every leaf is a *positive* statement about one record and is false
for a record that lacks the key; the negative operators (`$ne`, `$nin`, `$not_contains` …) are `Not`
of a leaf, so they are true for such records. `Empty` is the one leaf that a missing key satisfies.

Comparison is mathematical: 1 equals 1.0, a bool is no number, a string is never a number. Datetimes
and dates compare by instant (a date is its midnight; without a time zone, UTC is assumed). Ordering
between different kinds of value is false.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Union

ID, DOCUMENT = "#id", "#document"
"""What stands for a record's id, and for its text, where a metadata key could stand."""

Order = Literal["gt", "gte", "lt", "lte"]


class Kind(IntEnum):
    """The kind of one metadata value; INT and FLOAT are one kind when compared."""

    MISSING = 0
    NULL = 1
    BOOL = 2
    INT = 3
    FLOAT = 4
    STRING = 5
    TIME = 6  # an int of microseconds since 1970-01-01 UTC
    LIST = 7
    OBJECT = 8


@dataclass(frozen=True)
class Operand:
    """A value to compare with: its kind beside it, because Python's `True == 1` must not decide.

    LIST and OBJECT operands are held as canonical JSON text, TIME as microseconds.
    """

    kind: Kind
    value: Union[str, int, float, bool, None]


@dataclass(frozen=True)
class Operands:
    """Several values to compare with, each kind once: a list of thousands is parsed and hashed quickly."""

    groups: tuple[tuple[Kind, tuple[Union[str, int, float, bool, None], ...]], ...]

    @classmethod
    def of(cls, operands: Iterable[Operand]) -> Operands:
        """In the order in which the kinds appear."""
        groups: dict[Kind, list[Union[str, int, float, bool, None]]] = {}
        for operand in operands:
            groups.setdefault(operand.kind, []).append(operand.value)
        return cls(tuple((kind, tuple(values)) for kind, values in groups.items()))

    def __iter__(self) -> Iterator[Operand]:
        return (Operand(kind, value) for kind, values in self.groups for value in values)

    def __len__(self) -> int:
        return sum(len(values) for _, values in self.groups)


@dataclass(frozen=True)
class And:
    children: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    children: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    child: Node


@dataclass(frozen=True)
class Among:
    """The value equals one of the operands (`$eq`, `$in`)."""

    key: str
    operands: Operands


@dataclass(frozen=True)
class Compare:
    """The value is of the operand's kind and ordered so (`$gt`, `$gte`, `$lt`, `$lte`)."""

    key: str
    order: Order
    operand: Operand


@dataclass(frozen=True)
class Holds:
    """The value is a list and any (`$contains`, `$any`) or every one (`$all`) of the operands is in it."""

    key: str
    operands: Operands
    every: bool = False


@dataclass(frozen=True)
class Exists:
    """The record has the key, whatever its value, null included (`$exists`)."""

    key: str


@dataclass(frozen=True)
class Empty:
    """The key is missing, or its value is null, "" or [] (`$empty`)."""

    key: str


@dataclass(frozen=True)
class Like:
    """The value is a string that the whole pattern matches: % any run, _ any one, \\ escapes (`$like`)."""

    key: str
    pattern: str
    ignore_case: bool = False


@dataclass(frozen=True)
class Regex:
    """The value is a string in which an RE2 pattern is found somewhere (`$regex` on metadata)."""

    key: str
    pattern: str


@dataclass(frozen=True)
class Document:
    """The record has a document, and it contains the text or the RE2 pattern is found in it."""

    operator: Literal["contains", "regex"]
    text: str


Leaf = Union[Among, Compare, Holds, Exists, Empty, Like, Regex, Document]
Node = Union[And, Or, Not, Leaf]


def leaves(node: Node) -> Iterator[Leaf]:
    """The statements that a filter is made of, in order of appearance."""
    if isinstance(node, (And, Or)):
        for child in node.children:
            yield from leaves(child)
    elif isinstance(node, Not):
        yield from leaves(node.child)
    else:
        yield node


def keys_of(node: Node) -> Iterator[str]:
    """The metadata keys that a filter reads, in order of appearance, repeats included."""
    return (leaf.key for leaf in leaves(node) if not isinstance(leaf, Document))


def values_in(node: Node) -> int:
    """How many values a filter names."""
    return sum(len(leaf.operands) if isinstance(leaf, (Among, Holds)) else 1 for leaf in leaves(node))
