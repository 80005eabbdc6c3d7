"""What does a graph know that the vectors' file does not?

hnswlib hands its index out as a dictionary of numbers and arrays. In one of them each element is its links,
its vector and its label, one after the other: seven eighths of the bytes, at 384 dimensions, are vectors.
What is kept on disk is the rest; whoever takes it back puts the vectors in again (decision 17).

hnswlib follows links unseen, beyond its memory if they lead there. So all are looked at before it has them,
whether they are ours or in a file that it has written itself, in which large graphs are kept.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vicinal._index.view import Mask, Rows
from vicinal._turns import give_way, in_turns
from vicinal.types import Vectors

Array = NDArray[Any]

_BLOCK_ROWS = 2048
_ITS_OWN = {
    "ep_added",
    "cur_element_count",
    "max_elements",
    "max_level",
    "enterpoint_node",
    "has_deletions",
    "ef",
    "num_threads",
}
"""Numbers in which indexes of one kind may differ."""
_WORD_BYTES = 4
_COUNT, _DELETED = 0xFFFF, 0x1_0000  # of the first word of a list of links; the second, on the lowest level
_HEADER = struct.Struct("<6QiI3QdQ")
_HEADER_NAMES = (
    "offset_level0",
    "max_elements",
    "cur_element_count",
    "size_data_per_element",
    "label_offset",
    "offset_data",
    "max_level",
    "enterpoint_node",
    "max_M",
    "max_M0",
    "M",
    "mult",
    "ef_construction",
)
"""What hnswlib's file begins with."""


class _Parts(NamedTuple):
    """A graph without its vectors, by element."""

    links: NDArray[np.uint32]
    """On the lowest level: how many, and where they lead."""
    upper: NDArray[np.uint32]
    """The same on each level above, one element after the other."""
    labels: NDArray[np.uint64]
    levels: NDArray[np.int32]
    """The highest of each."""


def pack(state: Mapping[str, Any]) -> dict[str, Array]:
    """Everything but the vectors, as arrays; without what labels say too, and room for more elements."""
    elements = state["data_level0"].view(np.uint8).reshape(-1, state["size_data_per_element"])
    numbers = {name: value for name, value in state.items() if not isinstance(value, np.ndarray)}
    return {
        "numbers": np.frombuffer(json.dumps(numbers).encode(), dtype=np.uint8),
        "links": np.ascontiguousarray(elements[:, : state["offset_data"]]),
        "labels": np.ascontiguousarray(elements[:, state["label_offset"] :]).view(np.uint64).reshape(-1),
        "levels": state["element_levels"][: len(elements)],
        "upper": state["link_lists"].view(np.uint8),
    }


def unpack(
    packed: Mapping[str, Array], empty: Mapping[str, Any], hidden: Mask, given: Callable[[Rows], Vectors]
) -> dict[str, Any]:
    """The dictionary; `given` are the vectors, as hnswlib was given them, of the rows that are its labels.
    `empty` is that of an index of the same kind without elements, and some rows are `hidden`.

    Raises one of `ValueError`, `KeyError`, `TypeError` and `IndexError` where hnswlib could not follow the
    links, or they do not belong to such rows and vectors.
    """
    numbers: dict[str, Any] = json.loads(packed["numbers"].tobytes())
    _check_kind(numbers, empty)
    parts = _unpacked(packed, numbers, empty)
    _check(parts, numbers, empty, hidden)
    links, upper, labels, levels = parts
    first, last = empty["offset_data"], empty["label_offset"]
    elements = np.empty((len(labels), empty["size_data_per_element"]), dtype=np.uint8)
    elements[:, :first] = links.view(np.uint8)
    elements[:, last:] = labels[:, np.newaxis].view(np.uint8)
    for start in range(0, len(labels), _BLOCK_ROWS):
        give_way()
        rows = labels[start : start + _BLOCK_ROWS].astype(np.int64)
        elements[start : start + len(rows), first:last] = given(rows).view(np.uint8)
    return {
        **empty,
        "ep_added": len(labels) > 0,
        "cur_element_count": len(labels),
        "max_elements": max(1, len(labels)),
        "max_level": numbers["max_level"],
        "enterpoint_node": numbers["enterpoint_node"],
        "has_deletions": bool(_deleted(links).any()),
        "data_level0": elements.reshape(-1).view(np.int8),
        "element_levels": np.concatenate([levels, np.zeros(max(0, 1 - len(levels)), levels.dtype)]),
        "link_lists": upper.reshape(-1).view(np.int8),
        "label_lookup_external": labels,
        "label_lookup_internal": np.arange(len(labels), dtype=np.uint32),
    }


def check_file(path: Path, empty: Mapping[str, Any], hidden: Mask) -> int:
    """How many elements a file has that hnswlib has written, vectors included; raises as `unpack` does."""
    data = np.memmap(path, np.uint8, mode="r")
    if len(data) < _HEADER.size:
        raise ValueError("the file of a graph ends too early")
    numbers = dict(zip(_HEADER_NAMES, _HEADER.unpack(data[: _HEADER.size].tobytes())))
    _check_kind(numbers, empty)
    _check(_read(np.asarray(data).view(np.uint32), numbers, empty), numbers, empty, hidden)
    return int(numbers["cur_element_count"])


def _unpacked(packed: Mapping[str, Array], numbers: Mapping[str, Any], empty: Mapping[str, Any]) -> _Parts:
    """The parts of what was packed."""
    labels, levels = packed["labels"].astype(np.uint64), packed["levels"].astype(np.int32)
    links, upper = packed["links"], packed["upper"]
    first, above = empty["offset_data"], empty["size_links_per_element"]
    counts = {len(labels), len(levels), numbers["cur_element_count"], links.size / first}
    if len(counts) > 1 or upper.size != above * levels[levels > 0].sum():
        raise ValueError("the arrays of a graph contradict each other")  # hnswlib would read beyond them
    return _Parts(_lists(links, first), _lists(upper, above), labels, levels)


def _read(words: NDArray[np.uint32], numbers: Mapping[str, Any], empty: Mapping[str, Any]) -> _Parts:
    """The parts of hnswlib's file: the elements, then for each the size of its lists above, and these."""
    count, above = numbers["cur_element_count"], empty["size_links_per_element"]
    size, last, first = (
        empty[name] // _WORD_BYTES for name in ("size_data_per_element", "label_offset", "offset_data")
    )
    at = _HEADER.size // _WORD_BYTES + count * size
    elements = words[at - count * size : at].reshape(count, size)
    levels, upper, sizes = np.zeros(count, np.int32), [words[:0]], words.data
    for element in in_turns(range(count)):
        levels[element] = sizes[at] // above
        stop = at + 1 + sizes[at] // _WORD_BYTES
        if stop > at + 1:
            upper.append(words[at + 1 : stop])
        at = stop
    lists = np.concatenate(upper)
    if at != len(words) or lists.nbytes != above * levels.sum():
        raise ValueError("the file of a graph contradicts itself")
    labels = np.ascontiguousarray(elements[:, last:]).view(np.uint64).reshape(-1)
    return _Parts(elements[:, :first], lists.reshape(-1, above // _WORD_BYTES), labels, levels)


def _lists(data: Array, size_bytes: int) -> NDArray[np.uint32]:
    """Lists of links, one a line."""
    return np.ascontiguousarray(data, dtype=np.uint8).reshape(-1, size_bytes).view(np.uint32)


def _deleted(links: NDArray[np.uint32]) -> Mask:
    """Which elements are never to be found."""
    marked: Mask = links[:, 0] & _DELETED > 0
    return marked


def _check_kind(numbers: Mapping[str, Any], empty: Mapping[str, Any]) -> None:
    """Raise unless what these numbers describe is laid out as an empty index of this hnswlib is."""
    if any(number != empty[name] for name, number in numbers.items() if name not in _ITS_OWN):
        raise ValueError("the graph is of another kind, or of another hnswlib")


def _check(parts: _Parts, numbers: Mapping[str, Any], empty: Mapping[str, Any], hidden: Mask) -> None:
    """Raise unless hnswlib, which follows links unseen, can follow these, and they are of such rows."""
    links, upper, labels, levels = parts
    _check_labels(labels, _deleted(links), hidden)
    _check_links(links, np.zeros(len(links), np.int32), levels)
    above = levels[levels > 0]
    _check_links(upper, np.arange(len(upper)) - np.repeat(above.cumsum() - above, above) + 1, levels)
    entry, highest = numbers["enterpoint_node"], int(levels.max(initial=empty["max_level"]))
    enters = 0 <= entry < len(levels) and levels[entry] == highest
    if numbers["max_level"] != highest or not (enters if len(levels) else entry == empty["enterpoint_node"]):
        raise ValueError("the graph is not entered where it is highest")


def _check_labels(labels: Array, deleted: Mask, hidden: Mask) -> None:
    """Raise `ValueError` unless labels are rows, each once, all that are not hidden among them, and exactly
    the hidden ones are deleted."""
    if (labels >= len(hidden)).any():
        raise ValueError("the graph has rows that it does not cover")
    there = np.zeros(len(hidden), dtype=np.bool_)
    there[labels] = True
    once = np.count_nonzero(there) == len(labels)
    if not (once and (there | hidden).all() and np.array_equal(deleted, hidden[labels])):
        raise ValueError("the graph has other rows than it covers")


def _check_links(lists: NDArray[np.uint32], at: Array, levels: Array) -> None:
    """Raise `ValueError` unless lists are no longer than they may be, and lead to elements that have a list
    on the level of each, too."""
    places = np.arange(1, lists.shape[1])
    for start in range(0, len(lists), _BLOCK_ROWS):
        give_way()
        part = lists[start : start + _BLOCK_ROWS]
        counts, to = part[:, :1] & _COUNT, part[:, 1:]
        needed = at[start : start + len(part), np.newaxis]
        lead = (to < len(levels)) & (levels.take(to, mode="clip") >= needed)
        if (counts > len(places)).any() or not (lead | (places > counts)).all():
            raise ValueError("links of the graph lead nowhere")
