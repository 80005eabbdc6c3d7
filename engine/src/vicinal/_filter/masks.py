"""Which rows does a filter select?  Evaluates a filter tree to one boolean per row.

The rows and their values are the caller's (`Fields`); this file knows only how nodes combine, so the
meaning of the tree stands on one screen.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vicinal._filter.ast import (
    Among,
    And,
    Compare,
    Document,
    Empty,
    Exists,
    Holds,
    Like,
    Node,
    Not,
    Operand,
    Operands,
    Or,
    Order,
    Regex,
)
from vicinal._filter.patterns import Predicate, containing, like, regex

Mask = NDArray[np.bool_]


class Values(Protocol):
    """One metadata key's values by row. Every answer is a new mask over all rows."""

    def equal(self, operands: Operands) -> Mask: ...
    def ordered(self, order: Order, operand: Operand) -> Mask: ...
    def holding(self, operands: Operands) -> Mask: ...
    def lists(self) -> Mask: ...
    def present(self) -> Mask: ...
    def empty(self) -> Mask: ...
    def strings(self, predicate: Predicate) -> Mask: ...


class Fields(Protocol):
    """What a filter can ask about the rows it runs over."""

    rows: int

    def values(self, key: str) -> Values: ...
    def documents(self, node: Document, predicate: Predicate, candidates: Mask | None) -> Mask: ...


def evaluate(node: Node, fields: Fields, candidates: Mask | None = None) -> Mask:
    """A boolean per row. Rows outside `candidates` may come out either way: the caller drops them.

    `candidates` spares the reading of documents that another condition has excluded already.
    """
    if isinstance(node, And):
        mask = candidates if candidates is not None else np.ones(fields.rows, dtype=np.bool_)
        for child in sorted(node.children, key=_reads_documents):
            mask = mask & evaluate(child, fields, mask)
        return mask
    if isinstance(node, Or):
        mask = np.zeros(fields.rows, dtype=np.bool_)
        for child in node.children:
            mask = mask | evaluate(child, fields, candidates)
        return mask
    if isinstance(node, Not):
        return ~evaluate(node.child, fields, candidates)
    if isinstance(node, Document):
        predicate = containing(node.text) if node.operator == "contains" else regex(node.text)
        return fields.documents(node, predicate, candidates)
    return _leaf(node, fields.values(node.key))


def _leaf(node: Among | Compare | Holds | Exists | Empty | Like | Regex, values: Values) -> Mask:
    if isinstance(node, Among):
        return values.equal(node.operands)
    if isinstance(node, Compare):
        return values.ordered(node.order, node.operand)
    if isinstance(node, Holds):
        if not node.every:
            return values.holding(node.operands)
        mask = values.lists()
        for operand in node.operands:
            mask = mask & values.holding(Operands.of([operand]))
        return mask
    if isinstance(node, Exists):
        return values.present()
    if isinstance(node, Empty):
        return values.empty()
    if isinstance(node, Like):
        return values.strings(like(node.pattern, node.ignore_case))
    return values.strings(regex(node.pattern))


def _reads_documents(node: Node) -> bool:
    """Sorts the expensive children of an `And` behind the cheap ones."""
    if isinstance(node, (And, Or)):
        return any(map(_reads_documents, node.children))
    return _reads_documents(node.child) if isinstance(node, Not) else isinstance(node, Document)
