"""Which filters are applied, and how are they tied to the question?

Every record carries three numbers from 0 to `SCALE`, each uniform over the corpus, so that a bound selects
an exactly known share: `random`, drawn by lot, `axis`, the record's rank along the corpus' first principal
component, and `added`, the order in which records are added. The ties: *random*; *near*, the end of the
axis on the question's side; *far*, the other end, where none of its neighbours are; *newest*, the records
that were added last. Beside them `member`, a string that ten records share, and
`shade`, one of eight strings, both by lot. *Cold* is a condition that no other question has, so that no
engine can keep the filter's answer; *repeated* is the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SCALE = 1_000_000_000
SHARES = (0.71, 0.5, 0.3, 0.11, 0.03, 0.015, 0.0002)
TIES = ("random", "near", "far", "newest")
DOCUMENT_QUESTIONS = 45
_LISTED = 1000
_MEMBERS = 10
_SHADES = 8
_PHRASE = re.compile(r"([A-Za-z]{5,}) ([A-Za-z]{7,})")
_STRIDE = 7919

Vectors = NDArray[np.float32]
Where = dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """What must hold of a record: in the dialect of filters that Chroma and Vicinal share."""

    where: Where | None = None
    document: dict[str, str] | None = None

    def parts(self) -> list[tuple[str, str, Any]]:
        """The (key, operator, operand) of `where`, all of which must hold."""
        conditions = (self.where or {}).get("$and") or ([self.where] if self.where else [])
        return [
            (key, operator, operand)
            for condition in conditions
            for key, test in condition.items()
            for operator, operand in test.items()
        ]


ANY = Condition()


@dataclass(frozen=True)
class Facts:
    """What conditions are made of: the corpus' size, each question's side of the axis, and phrases."""

    rows: int
    sides: Sequence[bool]
    phrases: Sequence[tuple[str, str]]


class Case(Protocol):
    """One condition per question; `name` is what tables and plots show."""

    @property
    def name(self) -> str: ...

    def condition(self, facts: Facts, question: int) -> Condition: ...


@dataclass(frozen=True)
class Range:
    """A bound on a number, selecting the same share of the records for each question."""

    tie: str
    share: float

    @property
    def name(self) -> str:
        return f"{self.tie} {self.share * 100:g}%"

    def condition(self, facts: Facts, question: int) -> Condition:
        selected = max(1, round(self.share * facts.rows))
        if self.tie == "random":
            return Condition({"random": {"$lt": _number(selected, facts.rows)}})
        last = {"$gte": _number(facts.rows - selected, facts.rows)}
        if self.tie == "newest":
            return Condition({"added": last})
        if facts.sides[question] == (self.tie == "near"):
            return Condition({"axis": last})
        return Condition({"axis": {"$lt": _number(selected, facts.rows)}})


@dataclass(frozen=True)
class Compound:
    """A list, three conditions or a range of strings."""

    kind: str
    cold: bool

    @property
    def name(self) -> str:
        return f"{self.kind}, {'cold' if self.cold else 'repeated'}"

    def condition(self, facts: Facts, question: int) -> Condition:
        shift, members = (question if self.cold else 0), -(-facts.rows // _MEMBERS)
        if self.kind == "$in of 1,000":
            count = min(_LISTED, max(1, members // 2))
            return Condition({"member": {"$in": [_member((shift + i) % members) for i in range(count)]}})
        if self.kind == "$and of three":
            shades = [_shade((shift + i) % _SHADES) for i in range(3)]
            # Numbers lie SCALE / rows apart: so small a change of a bound selects nothing else.
            half, most = {"$lt": SCALE // 2 - shift}, {"$gte": SCALE // 5 - shift}
            return Condition({"$and": [{"random": half}, {"axis": most}, {"shade": {"$in": shades}}]})
        first = shift * members // (2 * len(facts.sides))
        bounds = {"$gte": _member(first)}, {"$lt": _member(first + max(1, members // 20))}
        return Condition({"$and": [{"member": bound} for bound in bounds]})


@dataclass(frozen=True)
class Document:
    """Two words that stand beside each other in some document, as they are or as a pattern."""

    operator: str

    @property
    def name(self) -> str:
        return self.operator

    def condition(self, facts: Facts, question: int) -> Condition:
        phrase, pattern = facts.phrases[question % len(facts.phrases)]
        return Condition(document={self.operator: phrase if self.operator == "$contains" else pattern})


RANGES = tuple(Range(tie, share) for tie in TIES for share in SHARES)
KINDS = ("$in of 1,000", "$and of three", "string range")
COMPOUNDS = tuple(Compound(kind, cold) for kind in KINDS for cold in (True, False))
DOCUMENTS = (Document("$contains"), Document("$regex"))


def fields_of(vectors: Vectors, questions: Vectors) -> tuple[list[dict[str, Any]], list[bool]]:
    """What every record is filtered by; for every question, whether it lies on the axis' upper side."""
    mean = vectors.mean(axis=0)
    axis = np.linalg.eigh(np.cov(vectors, rowvar=False))[1][:, -1]
    along = (vectors - mean) @ axis
    lots = np.random.default_rng(0).permutation(len(vectors)).tolist()
    places = np.argsort(np.argsort(along, kind="stable")).tolist()
    rows = len(vectors)
    fields = [
        {"random": _number(lot, rows), "axis": _number(place, rows), "added": _number(row, rows)}
        | {"member": _member(lot // _MEMBERS), "shade": _shade(lot)}
        for row, (lot, place) in enumerate(zip(lots, places))
    ]
    return fields, ((questions - mean) @ axis > np.median(along)).tolist()


def phrases_of(documents: Sequence[str]) -> list[tuple[str, str]]:
    """For each question about text a phrase that some document has, and a pattern that finds it."""
    found: dict[str, str] = {}
    for step in range(len(documents)):
        document = documents[step * _STRIDE % len(documents)]
        if match := _PHRASE.search(document, len(document) // 3):
            found[match[0]] = rf"{match[1]}\s+{match[2]}[a-z]*"
        if len(found) == DOCUMENT_QUESTIONS:
            break
    return list(found.items()) or [("no phrase", r"no\s+phrase")]


def _number(rank: int, rows: int) -> int:
    return rank * SCALE // rows


def _member(number: int) -> str:
    return f"m{number:07d}"


def _shade(number: int) -> str:
    return f"shade-{number % _SHADES}"
