"""A graph that is kept without its vectors is believed only where hnswlib can follow it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.test_index import view_of

from vicinal import _derived
from vicinal._index import links
from vicinal._index.graph import Graph
from vicinal._index.view import View
from vicinal._storage import arrays, checkpoint
from vicinal._storage.files import Files
from vicinal._storage.readonly import ReadOnlyFiles
from vicinal.config import HnswConfiguration

ROWS, DIMENSION, M = 900, 4, 4
HNSW = HnswConfiguration(max_neighbors=M, num_threads=1)
WORDS = [0, 1, 5, 700, 2**16, 2**31, 2**32 - 1]
Packed = dict[str, Any]


@pytest.fixture
def kept() -> tuple[Graph, Packed, View]:
    """A graph of several levels, packed; some of its rows were never inserted, others are hidden."""
    rng = np.random.default_rng(11)
    view = view_of(rng.standard_normal((ROWS, DIMENSION)).astype(np.float32))
    view.alive[rng.random(ROWS) < 0.1] = False
    graph = Graph(HNSW, DIMENSION, generation=0)
    for _ in itertools.chain(graph.extend(view.vectors, view.alive, ROWS), graph.review(view.vectors)):
        pass
    view.alive[300:330] = False
    graph.hide(view.alive)
    packed = {name: array.copy() for name, array in graph.pack().items()}
    return graph, packed, replace(view, records=int(view.alive.sum()))


def taken_back(packed: Packed, graph: Graph, view: View) -> Graph:
    again = Graph(HNSW, DIMENSION, generation=0)
    again.unpack(packed, graph.coverage(), view.vectors)
    return again


def level_0(packed: Packed) -> Any:
    """Lists of links: how many there are, and where they lead."""
    return packed["links"].view(np.uint32)


def above(packed: Packed) -> Any:
    return packed["upper"].view(np.uint32).reshape(-1, 1 + M)


def low(packed: Packed) -> int:
    """An element of the lowest level alone."""
    return int(np.flatnonzero(packed["levels"] == 0)[0])


def put(array: Any, place: Any, value: Any) -> None:
    array[place] = value


def at(packed: Packed, row: int) -> Any:
    """The element of a row."""
    return packed["labels"] == row


def lose(packed: Packed, row: int) -> None:
    """Have a deleted element in place of a row's; of another row, that was never inserted."""
    packed["links"][at(packed, row), 2] = 1
    packed["labels"][at(packed, row)] = np.setdiff1d(np.arange(ROWS), packed["labels"])[0]


def number(packed: Packed, **changed: Any) -> None:
    numbers = {**json.loads(packed["numbers"].tobytes()), **changed}
    packed["numbers"] = np.frombuffer(json.dumps(numbers).encode(), dtype=np.uint8)


BY_HAND: dict[str, Callable[[Packed], None]] = {
    "a row twice": lambda packed: put(packed["labels"], 5, packed["labels"][6]),
    "a hidden row twice": lambda packed: put(packed["labels"], at(packed, 310), 311),
    "a row less": lambda packed: lose(packed, 400),
    "a row beyond": lambda packed: put(packed["labels"], 5, ROWS),
    "a row from the end": lambda packed: put(packed["labels"], at(packed, ROWS - 1), 2**64 - 1),
    "a hidden row is found": lambda packed: put(packed["links"], (at(packed, 310), 2), 0),
    "another is not": lambda packed: put(packed["links"], (at(packed, 400), 2), 1),
    "too many links": lambda packed: put(level_0(packed), (5, 0), 2 * M + 1),
    "too many above": lambda packed: put(above(packed), (2, 0), M + 1),
    "a link beyond": lambda packed: put(level_0(packed), (5, 1), len(packed["labels"])),
    "a link beyond, above": lambda packed: put(above(packed), (2, 1), 2**32 - 1),
    "a link to what is not above": lambda packed: put(above(packed), (2, 1), low(packed)),
    "other levels": lambda packed: put(
        packed["levels"], [packed["levels"].argmax(), low(packed)], [0, packed["levels"].max()]
    ),
    "a level below": lambda packed: put(packed["levels"], low(packed), -1),
    "entered below": lambda packed: number(packed, enterpoint_node=low(packed)),
    "entered beyond": lambda packed: number(packed, enterpoint_node=ROWS),
    "entered from the end": lambda packed: number(
        packed, enterpoint_node=int(packed["levels"].argmax()) - len(packed["levels"])
    ),
    "entered at a word": lambda packed: number(packed, enterpoint_node="here"),
    "no numbers": lambda packed: packed.update(numbers=np.frombuffer(b"{}", dtype=np.uint8)),
    "large elements": lambda packed: number(packed, size_data_per_element=2**40),
}


@pytest.mark.parametrize("how", BY_HAND)
def test_what_hnswlib_could_not_follow_is_refused(how: str, kept: tuple[Graph, Packed, View]) -> None:
    graph, packed, view = kept
    taken_back(packed, graph, view)
    BY_HAND[how](packed)
    with pytest.raises(_derived.BROKEN):
        taken_back(packed, graph, view)


def test_what_is_empty_is_not_entered_anywhere() -> None:
    vectors = np.ones((5, DIMENSION), dtype=np.float32)
    graph = Graph(HNSW, DIMENSION, generation=0)
    for _ in graph.extend(vectors, np.zeros(5, dtype=np.bool_), 5):
        pass
    packed, again = dict(graph.pack()), Graph(HNSW, DIMENSION, generation=0)
    again.unpack(packed, graph.coverage(), vectors)
    number(packed, enterpoint_node=3)
    with pytest.raises(ValueError, match="entered"):
        again.unpack(packed, graph.coverage(), vectors)


def is_taken(take: Callable[[], Graph], refused: tuple[type[Exception], ...], view: View, rng: Any) -> bool:
    """Whether a graph is taken back. Then it is walked and added to: where links lead beyond memory, the
    process ends here."""
    try:
        graph = take()
    except refused:
        return False
    assert graph.nearest(view.vectors[:20], 10, 100, view, view.alive) is not None
    more = np.concatenate([view.vectors, rng.standard_normal((60, DIMENSION)).astype(np.float32)])
    for _ in graph.extend(more, np.ones(len(more), dtype=np.bool_), len(more)):
        pass
    return graph.rows == len(more)


def test_any_words_are_refused_or_can_be_followed(kept: tuple[Graph, Packed, View]) -> None:
    graph, packed, view = kept
    rng, taken = np.random.default_rng(12), 0
    for _ in range(400):
        name = str(rng.choice(["links", "upper", "levels", "labels"]))
        changed = {**packed, name: packed[name].copy()}
        words = changed[name].reshape(-1).view(np.uint32)
        words[rng.integers(len(words), size=3)] = rng.choice(WORDS, size=3)
        taken += is_taken(partial(taken_back, changed, graph, view), _derived.BROKEN, view, rng)
    assert 20 < taken < 380


def test_any_words_in_a_file_of_hnswlibs_are_refused_or_can_be_followed(
    kept: tuple[Graph, Packed, View], tmp_path: Path
) -> None:
    graph, packed, view = kept
    file, covered = tmp_path / "graph", graph.coverage()

    def loaded() -> Graph:
        again = Graph(HNSW, DIMENSION, generation=0)
        again.load(file, covered, view.vectors)
        return again

    graph.save(file)
    whole = np.fromfile(file, np.uint32)
    elements = len(packed["labels"]) * (len(packed["links"][0]) + 4 * DIMENSION + 8) // 4
    rng, taken = np.random.default_rng(13), 0
    for turn in range(600):
        first, stop = [(0, 24), (24, 24 + elements), (24 + elements, len(whole))][turn % 3]
        words = whole.copy()
        words[rng.integers(first, stop, size=1 + turn % 2)] = rng.choice(WORDS)
        words[: len(words) - (turn % 50 == 7)].tofile(file)
        taken += is_taken(loaded, (RuntimeError, *_derived.BROKEN), view, rng)
    assert 20 < taken < 580
    for size in (0, 40, 96, 4000):
        file.write_bytes(whole.tobytes()[:size])
        with pytest.raises(_derived.BROKEN):
            loaded()


def test_a_file_of_hnswlibs_has_as_many_lists_as_its_elements_have_levels(
    kept: tuple[Graph, Packed, View], tmp_path: Path
) -> None:
    graph, packed, _ = kept
    graph.save(tmp_path / "graph")
    words = np.fromfile(tmp_path / "graph", np.uint32)
    [empty] = Graph(HNSW, DIMENSION, generation=0)._index.__getstate__()

    def elements(words: Any) -> int:
        words.tofile(tmp_path / "graph")
        return links.check_file(tmp_path / "graph", empty, graph.coverage().mask())

    assert elements(words) == len(packed["labels"])
    with pytest.raises(ValueError, match="contradicts"):
        elements(np.append(words, np.uint32(0)))
    size = 4 * (1 + M)
    [*_, one] = np.flatnonzero((words[:-6] == size) & (words[6:] == 0))  # of one list, and of none
    words[[one, one + M + 1]] = size - 4, 4  # the same bytes, and no list
    with pytest.raises(ValueError, match="contradicts"):
        elements(words)


def test_a_checkpoint_that_is_not_what_it_says_is_discarded(
    kept: tuple[Graph, Packed, View], tmp_path: Path
) -> None:
    graph, _, view = kept

    def loaded(known: int, files: Files | None) -> Graph | None:
        return _derived.load_graph(tmp_path, HNSW, view, known, files)

    _derived.save_graph(tmp_path, graph, view, Files())
    whole = loaded(ROWS - 1, Files())
    assert whole is not None and whole.rows == ROWS
    assert loaded(ROWS, Files()) is None  # so many are known

    path, covers = checkpoint.load(tmp_path, "graph") or pytest.fail("there is none")
    packed = {name: array.copy() for name, array in arrays.read(path).items()}
    level_0(packed)[5, 1] = ROWS
    checkpoint.save(tmp_path, "graph", covers, lambda file: arrays.write(file, packed), Files())
    for not_ours in (None, ReadOnlyFiles()):
        assert loaded(0, not_ours) is None
        assert checkpoint.covers(tmp_path, "graph") == covers
    assert loaded(0, Files()) is None
    assert checkpoint.covers(tmp_path, "graph") == {}
