"""What does a graph know that the vectors' file does not?

hnswlib hands its index out as a dictionary of numbers and arrays. In one of them each element is its links,
its vector and its label, one after the other: seven eighths of the bytes, at 384 dimensions, are vectors.
What is kept on disk is the rest; whoever takes it back puts the vectors in again (decision 17).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal._index.view import Rows
from vicinal._turns import give_way
from vicinal.types import Vectors

Array = NDArray[Any]

_BLOCK_ROWS = 2048


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


def unpack(packed: Mapping[str, Array], given: Callable[[Rows], Vectors]) -> dict[str, Any]:
    """The dictionary; `given` are the vectors, as hnswlib was given them, of the rows that are its labels.

    Raises `ValueError`, `KeyError` or `IndexError` for arrays that do not belong together, or not to such
    vectors. Where links lead is believed: hnswlib follows them unseen, and the checkpoint has its checksum.
    """
    numbers: dict[str, Any] = json.loads(packed["numbers"].tobytes())
    labels, levels = packed["labels"], packed["levels"]
    above = numbers["size_links_per_element"] * int(levels.sum())
    counts = {len(labels), len(levels), len(packed["links"]), numbers["cur_element_count"]}
    if len(counts) > 1 or len(packed["upper"]) != above:
        raise ValueError("the arrays of a graph contradict each other")  # hnswlib would read beyond them
    first, last = numbers["offset_data"], numbers["label_offset"]
    elements = np.empty((len(labels), numbers["size_data_per_element"]), dtype=np.uint8)
    elements[:, :first] = packed["links"]
    elements[:, last:] = labels[:, np.newaxis].view(np.uint8)
    for start in range(0, len(labels), _BLOCK_ROWS):
        give_way()
        rows = labels[start : start + _BLOCK_ROWS].astype(np.int64)
        elements[start : start + len(rows), first:last] = given(rows).view(np.uint8)
    return {
        **numbers,
        "max_elements": max(1, len(labels)),
        "data_level0": elements.reshape(-1).view(np.int8),
        "element_levels": np.concatenate([levels, np.zeros(max(0, 1 - len(levels)), levels.dtype)]),
        "link_lists": packed["upper"].view(np.int8),
        "label_lookup_external": labels,
        "label_lookup_internal": np.arange(len(labels), dtype=np.uint32),
    }
