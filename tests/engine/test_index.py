"""The nearest records are found: as many as match, after every kind of event, under every filter."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import vicinal
from vicinal import _derived, _progress, _upkeep
from vicinal._index import codes, effort, exact, kernel, planner, walks
from vicinal._index.effort import QUESTIONS, Effort
from vicinal._index.graph import Graph, Strays, _SharedLock
from vicinal._index.view import EMPTY, View, advance, appended, lengths
from vicinal._rank import mmr
from vicinal._request import Status
from vicinal._storage.checkpoint import _seal
from vicinal.config import HnswConfiguration
from vicinal.testing import check, nearest, wait_for_index

ROWS, DIMENSION, K = 13_000, 96, 10
RECALL_MIN = 0.98
SPACES = ["l2", "cosine", "ip"]
EVENTS = ["build", "insert more", "delete some", "update vectors", "reopen", "no checkpoints", "compact"]
SHARES = {
    "100 %": None,
    "50 %": {"half": 0},
    "10 %": {"percent": {"$lt": 10}},
    "1 %": {"percent": 7},
    "one cluster of four": {"cluster": {"$in": [0, 1, 2, 3]}},
    "none": {"percent": 100},
}


# --- recall ----------------------------------------------------------------------------------------


def clustered(count: int, seed: int) -> Any:
    """Vectors around sixteen centres, as embeddings of texts on sixteen topics lie; and their centres."""
    centres = np.random.default_rng(0).standard_normal((16, DIMENSION))
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, 16, count)
    vectors = centres[cluster] + 0.6 * rng.standard_normal((count, DIMENSION))
    return vectors.astype(np.float32), cluster


@dataclass
class History:
    """A collection that lives through the events, and a dictionary that does the same."""

    path: Path
    space: Any
    vectors: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = vicinal.PersistentClient(self.path)
        configuration = {"hnsw": {"space": self.space}}
        self.things = self.client.create_collection(
            "things", embedding_function=None, configuration=configuration
        )
        self.next = 0

    def add(self, count: int, seed: int) -> None:
        vectors, cluster = clustered(count, seed)
        numbers = range(self.next, self.next + count)
        ids = list(map(str, numbers))
        metadatas = [
            {"half": n % 2, "percent": n * 7919 % 100, "cluster": int(c)} for n, c in zip(numbers, cluster)
        ]
        self.things.add(ids=ids, embeddings=vectors, metadatas=metadatas)
        self.vectors.update(zip(ids, vectors))
        self.metadata.update(zip(ids, metadatas))
        self.next += count

    def delete(self, ids: list[str]) -> None:
        self.things.delete(ids=ids)
        for id in ids:
            del self.vectors[id], self.metadata[id]

    def update(self, ids: list[str], seed: int) -> None:
        vectors, _ = clustered(len(ids), seed)
        self.things.update(ids=ids, embeddings=vectors)
        self.vectors.update(zip(ids, vectors))

    def reopen(self, *, checkpoints: bool = True) -> None:
        self.client.close()
        if not checkpoints:
            shutil.rmtree(self.path / "collections" / str(self.things.id) / "checkpoints")
        self.client = vicinal.PersistentClient(self.path)
        self.things = self.client.get_collection("things")

    def happen(self, event: str) -> None:
        ids = list(self.vectors)
        if event == "build":
            self.add(ROWS, 1)
        elif event == "insert more":
            self.add(1_500, 2)
        elif event == "delete some":
            self.delete(ids[::5])
        elif event == "update vectors":
            self.update(ids[::7], 3)
        elif event == "compact":
            self.things.compact()
        else:
            self.reopen(checkpoints=event == "reopen")
        wait_for_index(self.things)

    def ask(self, queries: Any, wheres: list[Any]) -> list[tuple[float, str]]:
        """For each filter the recall by distance, so that ties count as found, and the plan."""
        ids, vectors = list(self.vectors), np.array(list(self.vectors.values()))
        ranked = [nearest(query, vectors, len(vectors), self.space) for query in queries]
        return [self._ask(queries, where, ids, ranked) for where in wheres]

    def _ask(self, queries: Any, where: Any, ids: list[str], ranked: Any) -> tuple[float, str]:
        answer = self.things.query(query_embeddings=queries, n_results=K, where=where, explain=True)
        matching = {id for id in ids if where is None or holds(where, self.metadata[id])}
        assert answer["explain"].matches == len(matching)
        hits = 0
        for found, distances, (order, true) in zip(answer["ids"], answer["distances"], ranked):
            best = list(itertools.islice((d for i, d in zip(order, true) if ids[i] in matching), K))
            own = dict(zip((ids[i] for i in order), true))
            assert (len(found), matching >= set(found)) == (len(best), True)
            assert np.allclose(distances, [own[id] for id in found], atol=1e-6)
            assert distances == sorted(distances)
            hits += sum(distance <= best[-1] + 1e-6 for distance in distances)
        possible = len(queries) * min(K, len(matching))
        return hits / possible if possible else 1.0, answer["explain"].strategy


def holds(where: dict[str, Any], metadata: dict[str, int]) -> bool:
    [(key, condition)] = where.items()
    if not isinstance(condition, dict):
        return metadata[key] == condition
    return metadata[key] in condition["$in"] if "$in" in condition else metadata[key] < condition["$lt"]


@pytest.fixture(scope="module", autouse=True)
def graphs_for_thousands_of_rows() -> Iterator[None]:
    """Histories of a few thousand rows walk the graph, as collections of a hundred times as many do."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(planner, "GRAPH_BYTES_MIN", 1 << 20)
        patched.setattr(planner, "_WALK_S_PER_CANDIDATE", 1e-8)
        yield


@pytest.fixture(scope="module", params=SPACES)
def recalls(request: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    """(event, share) → (recall, plan), over one history."""
    history = History(tmp_path_factory.mktemp("recall") / "data", request.param)
    queries, _ = clustered(40, 9)
    table = {}
    for event in EVENTS:
        history.happen(event)
        for share, result in zip(SHARES, history.ask(queries, list(SHARES.values()))):
            table[event, share] = result
    assert check(history.client) == []
    history.client.close()
    return table


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("event", EVENTS)
def test_nearly_all_of_the_nearest_are_found(recalls: Any, event: str, share: str) -> None:
    recall, _ = recalls[event, share]
    assert recall >= RECALL_MIN


@pytest.mark.parametrize("event", EVENTS)
def test_the_graph_answers_what_it_is_there_for(recalls: Any, event: str) -> None:
    assert recalls[event, "100 %"][1] in ("graph", "graph, then filter")
    assert recalls[event, "1 %"][1] == "scan matches"
    assert recalls[event, "none"][1] == "scan matches"


@pytest.fixture
def walking(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planner finds the graph cheap, whatever the collection and the filter."""
    monkeypatch.setattr(planner, "_WALK_S_PER_CANDIDATE", 0.0)
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 1 << 14)


@pytest.mark.usefixtures("walking")
@pytest.mark.parametrize("space", SPACES)
def test_the_graph_alone_finds_them_too(tmp_path: Path, space: str) -> None:
    history = History(tmp_path, space)
    history.add(6_000, 1)
    history.delete([str(i) for i in range(0, 6_000, 7)])
    wait_for_index(history.things)
    queries, _ = clustered(40, 9)
    for recall, plan in history.ask(queries, [None, {"half": 0}]):
        assert recall >= RECALL_MIN
        assert plan == "graph, then filter"
    history.client.close()


@pytest.mark.usefixtures("walking")
@pytest.mark.parametrize(
    ("space", "lengths"), [*((space, [1]) for space in SPACES), ("cosine", [0.5, 1, 2, 4])]
)
def test_copies_that_fill_a_walk_hide_nothing_that_is_nearer(
    client: vicinal.Client, space: str, lengths: list[float]
) -> None:
    """A hundred copies of each vector, or multiples, which are the same to the cosine: a walk that keeps a
    hundred candidates sees one of them at a time."""
    rng = np.random.default_rng(2)
    vectors = np.repeat(rng.standard_normal((30, 32)), 100, axis=0).astype(np.float32)
    vectors *= np.resize(lengths, 3000)[:, np.newaxis].astype(np.float32)
    rng.shuffle(vectors)
    things = client.create_collection(
        "things", embedding_function=None, configuration={"hnsw": {"space": space, "ef_search": 100}}
    )
    things.add(ids=[str(i) for i in range(3000)], embeddings=vectors)
    wait_for_index(things)
    for query in rng.standard_normal((40, 32)).astype(np.float32):
        _, distances = nearest(query, vectors, K, space)
        assert np.allclose(things.query(query_embeddings=query)["distances"][0], distances)
    own = things.query(query_embeddings=vectors[7], explain=True)
    if space != "ip":  # nothing is nearer than a copy
        assert (own["distances"][0], own["explain"].strategy) == ([0.0] * K, "graph")


@pytest.mark.usefixtures("walking")
@pytest.mark.parametrize("noise", [0.01, 0.1])
@pytest.mark.parametrize("space", ["l2", "cosine"])
def test_variants_that_fill_a_walk_hide_nothing_that_is_nearer(
    client: vicinal.Client, space: str, noise: float
) -> None:
    """As of a text that differs by a number: no copies, and a walk does not leave them either."""
    rng = np.random.default_rng(5)
    texts = rng.standard_normal((30, 64)) / 8
    vectors = np.repeat(texts, 100, axis=0) + noise / 8 * rng.standard_normal((3000, 64))
    vectors = rng.permutation(vectors.astype(np.float32))
    things = client.create_collection(
        "things", embedding_function=None, configuration={"hnsw": {"space": space, "ef_search": 100}}
    )
    things.add(ids=[str(i) for i in range(3000)], embeddings=vectors)
    wait_for_index(things)
    missed = 0
    for query in rng.standard_normal((40, 64)).astype(np.float32) / 8:
        _, distances = nearest(query, vectors, K, space)
        found = things.query(query_embeddings=query)["distances"][0]
        missed += np.count_nonzero(np.array(found) > distances[-1] + 1e-5)
    assert missed <= 0.02 * 40 * K
    own = things.query(query_embeddings=vectors[7], explain=True)
    assert own["explain"].strategy == "graph", "among its own it is found"


@pytest.mark.usefixtures("walking")
@pytest.mark.parametrize("group", [50, 400])
@pytest.mark.parametrize("space", SPACES)
def test_rows_that_are_nearly_equal_are_told_apart(client: vicinal.Client, space: str, group: int) -> None:
    """In float32 the distances of many are the same, also where there are more of them than a walk keeps."""
    rng = np.random.default_rng(3)
    vectors = np.repeat(rng.standard_normal((1600 // group, 32)), group, axis=0)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = (vectors + 1e-4 * rng.standard_normal((1600, 32))).astype(np.float32)
    things = client.create_collection(
        "things", embedding_function=None, configuration={"hnsw": {"space": space, "ef_search": 100}}
    )
    things.add(
        ids=[str(i) for i in range(1600)], embeddings=vectors, metadatas=[{"odd": i % 2} for i in range(1600)]
    )
    wait_for_index(things)
    odd = np.arange(1, 1600, 2)
    for row in range(0, 1600, 107):
        expected = nearest(vectors[row], vectors, K, space)[0]
        assert things.query(query_embeddings=vectors[row])["ids"][0] == [str(i) for i in expected]
        of_odd = odd[nearest(vectors[row], vectors[odd], K, space)[0]]
        found = things.query(query_embeddings=vectors[row], where={"odd": 1})
        assert found["ids"][0] == [str(i) for i in of_odd]


def test_a_row_whose_product_float32_cannot_hold_hides_no_nearer_one(client: vicinal.Client) -> None:
    vectors = np.arange(100)[:, np.newaxis] * np.array([1e9, 0])
    vectors[99, 0] = 1e30
    things = client.create_collection("things", embedding_function=None)
    things.add(ids=list(map(str, range(100))), embeddings=vectors.astype(np.float32))
    assert things.query(query_embeddings=[1e10, 0], n_results=1)["ids"] == [["10"]]


NEARLY = np.arange(20)[:, np.newaxis]
UNIT = np.array([1, 0], dtype=np.float32)


@pytest.mark.parametrize("scale", [1.0, 2.0**-10, 2.0**10])
@pytest.mark.parametrize(
    ("space", "query", "vectors"),
    [
        ("l2", 0 * UNIT, UNIT * (1 + NEARLY * 2.0**-23)),
        ("cosine", UNIT, UNIT + UNIT[::-1] * NEARLY * 1e-4),
        ("ip", UNIT, UNIT * (1 - NEARLY * 2.0**-23)),
    ],
)
def test_a_walk_is_not_believed_where_float32_confuses_its_last_with_the_nearest(
    space: Any, query: Any, vectors: Any, scale: float
) -> None:
    query, vectors = query * np.float32(scale), (vectors * scale).astype(np.float32)
    rows, view = np.arange(20), view_of(vectors)
    far = exact.measure(vectors, space, query, rows).astype(np.float32)
    assert walks.believed(view, space, query, 1, rows, far, float(far[-1])) is None
    alone = walks.believed(view, space, query, 1, rows, far, None)
    assert alone is not None
    assert alone.tolist() == rows.tolist()  # nothing lies beyond: all of them are measured


@pytest.mark.parametrize("space", SPACES)
def test_a_walk_that_met_only_rows_that_are_measured_anyhow_is_believed(space: Any) -> None:
    none, view = np.empty(0, dtype=np.int64), view_of(NEARLY.astype(np.float32) * UNIT)
    found = walks.believed(view, space, UNIT, 1, none, none.astype(np.float32), 3.0)
    assert found is not None and found.tolist() == []


@pytest.mark.usefixtures("walking")
def test_a_question_that_points_away_from_all_vectors_is_answered(client: vicinal.Client) -> None:
    """Links lead to large inner products; the least negative ones are those of short vectors."""
    rng = np.random.default_rng(1)
    vectors = -np.abs(rng.standard_normal((1500, 16))).astype(np.float32)
    things = client.create_collection(
        "things", embedding_function=None, configuration={"hnsw": {"space": "ip"}}
    )
    things.add(ids=[str(i) for i in range(1500)], embeddings=vectors)
    wait_for_index(things)
    for query in np.abs(rng.standard_normal((10, 16))).astype(np.float32):
        expected = nearest(query, vectors, K, "ip")[0]
        assert things.query(query_embeddings=query)["ids"][0] == [str(i) for i in expected]


@pytest.mark.usefixtures("walking")
@pytest.mark.parametrize("space", ["l2", "cosine"])
def test_a_filter_that_refuses_the_neighbours_of_a_question_costs_no_answer(
    tmp_path: Path, space: str
) -> None:
    history = History(tmp_path, space)
    history.add(3_000, 1)
    wait_for_index(history.things)
    queries, clusters = clustered(40, 9)
    plans = set()
    for query, cluster in zip(queries, clusters):
        others = [c for c in range(16) if (c < 8) != (cluster < 8)]
        [(recall, plan)] = history.ask(query[np.newaxis], [{"cluster": {"$in": others}}])
        plans.add(plan)
        assert recall == 1.0 or plan != "scan after graph"
    assert "scan after graph" in plans
    both = [{"cluster": {"$in": [0, 1, 2, 3, 4, 5, 6, 7]}}]
    [(recall, plan)] = history.ask(queries, both)  # questions on either side, in one call
    assert (recall >= RECALL_MIN, plan) == (True, "graph, then filter")
    history.client.close()


@pytest.mark.usefixtures("walking")
@pytest.mark.parametrize("k", [10, 100, 400, 3_000])
def test_a_broad_filter_fills_any_number_of_results(tmp_path: Path, k: int) -> None:
    history = History(tmp_path, "cosine")
    history.add(3_000, 1)
    wait_for_index(history.things)
    queries, _ = clustered(5, 9)
    for where in ({"half": 0}, {"percent": {"$lt": 30}}, {"percent": {"$lt": 95}}):
        matching = history.things.count(where=where)
        for query in queries:
            found = history.things.query(query_embeddings=query, n_results=k, where=where)
            assert len(set(found["ids"][0])) == min(k, matching)
    history.client.close()


@pytest.mark.parametrize("scale", [1.0, 2.0**-14, 2.0**10])
def test_rows_that_the_graph_cannot_reach_are_noticed_at_any_scale(scale: float) -> None:
    """Tight groups and outliers, of which hnswlib leaves some without a link that leads to them."""
    rng = np.random.default_rng(1)
    groups = rng.standard_normal((60, 16)) * 5
    vectors = groups[rng.integers(0, 60, 6000)] + rng.standard_normal((6000, 16)) * 0.01
    vectors[::40] = rng.standard_normal((150, 16)) * 8
    vectors = (vectors * scale).astype(np.float32)
    alive = np.ones(6000, dtype=np.bool_)
    graph = Graph(HnswConfiguration(num_threads=1, ef_search=100), 16, generation=0)
    for _ in itertools.chain(graph.extend(vectors, alive, 6000), graph.review(vectors)):
        pass
    view = View(0, 0, 6000, 6000, alive, None, vectors, np.linalg.norm(vectors, axis=1))
    found = graph.nearest(vectors[::40], 1, 100, view, alive)
    assert found is not None
    missed = [row for row, rows in zip(range(0, 6000, 40), found[0]) if rows is not None and row not in rows]
    assert missed == []
    scanned = sum(rows is None for rows in found[0])  # a walk that ends in a tight group is not believed
    assert scanned < 15


def test_a_review_that_was_stopped_is_finished() -> None:
    vectors = np.random.default_rng(0).standard_normal((2000, 8)).astype(np.float32)
    alive = np.ones(2000, dtype=np.bool_)
    graph, looked_for = Graph(HnswConfiguration(), 8, generation=0), []
    lost = graph._lost
    graph._lost = lambda vectors, rows: (looked_for.extend(rows.tolist()), lost(vectors, rows))[1]  # type: ignore[method-assign]
    for stop in (500, 2000):
        looked_for.clear()
        for _ in graph.extend(vectors, alive, stop):
            pass
        while graph.reviewed_rows < stop:  # each slice ends at the first opportunity
            before = graph.reviewed_rows
            next(iter(graph.review(vectors)))
            assert graph.reviewed_rows >= before  # queries scan what lies beyond
        assert set(range(stop)) <= set(looked_for)


# --- how far walks look ------------------------------------------------------------------------------

POOR = {"max_neighbors": 4, "ef_construction": 8}
"""A graph whose walks go astray in a few thousand rows, as a usual one does among many more."""


def by_lot(count: int, seed: int = 0) -> Any:
    """Vectors without any structure, where walks find least."""
    return np.random.default_rng(seed).standard_normal((count, 48)).astype(np.float32)


def recall_of(things: Any, vectors: Any) -> float:
    """Of neighbours of strangers."""
    queries = by_lot(50, seed=1)
    found = things.query(query_embeddings=queries)["distances"]
    space = things.configuration_json["hnsw"]["space"]
    truths = [nearest(query, vectors, K, space)[1][-1] for query in queries]
    return float(np.mean([np.asarray(d) <= far + 1e-9 for d, far in zip(found, truths)]))


def ef_of(things: Any) -> int | None:
    """How many candidates a walk keeps."""
    wait_for_index(things)
    return things.query(query_embeddings=by_lot(1), explain=True)["explain"].ef


@pytest.fixture
def few_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks are tried out in graphs of a few hundred rows, whatever a scan costs, and as soon as they have so
    many, however busy the machine is."""
    monkeypatch.setattr(effort, "_ROWS_MIN", 400)
    monkeypatch.setattr(_upkeep, "_SLICE_S", 60.0)


@pytest.mark.usefixtures("walking", "few_are_tried")
@pytest.mark.parametrize("space", SPACES)
def test_walks_that_find_too_little_look_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: str
) -> None:
    monkeypatch.setattr("vicinal.config._EF_LEAST", 100)
    vectors, shown = by_lot(3_000), []
    with vicinal.PersistentClient(tmp_path) as client:
        for name, given in {"usual": {}, "given": {"ef_search": 100}}.items():
            hnsw = {"space": space, **POOR, **given}
            things = client.create_collection(name, embedding_function=None, configuration={"hnsw": hnsw})
            things.add(ids=list(map(str, range(3_000))), embeddings=vectors)
            things.optimize()
            shown.append((recall_of(things, vectors), ef_of(things)))
    (recall, ef), (given_recall, given_ef) = shown
    assert given_recall < 0.9 < 0.95 <= recall
    assert given_ef == 100 * (2 if space == "ip" else 1), "a given value is kept to"
    assert ef in [given_ef * 2**n for n in range(1, 6)]
    with vicinal.PersistentClient(tmp_path) as client:
        assert ef_of(client.get_collection("usual")) == ef


@pytest.mark.usefixtures("walking", "few_are_tried")
def test_records_that_come_one_by_one_are_asked_about_before_they_are_inserted(
    client: vicinal.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, asked = by_lot(600), []
    monkeypatch.setattr(planner, "look", lambda view, graph, codes, hnsw, query: asked.append((view, query)))
    things = client.create_collection("things", embedding_function=None)
    things.add(ids=list(map(str, range(500))), embeddings=vectors[:500])
    wait_for_index(things)
    asked.clear()
    for row in range(500, 520):
        things.add(ids=str(row), embeddings=vectors[row])
        wait_for_index(things)
    assert [view.rows for view, _ in asked] == list(range(500, 520))
    assert all(np.array_equal(query, vectors[view.rows]) for view, query in asked)


def test_where_they_would_have_to_look_so_far_that_scanning_costs_less_all_is_scanned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = by_lot(3_000)
    view, hnsw = view_of(vectors), HnswConfiguration(**POOR)
    graph = looked_at(view, hnsw)
    scan = planner._ways(view, None, 3_000, range(3_000))[0]
    monkeypatch.setattr(planner, "_WALK_S_PER_CANDIDATE", scan / 150)  # ef 100 pays, 200 does not, nor 400
    tell(graph, view, hnsw)
    assert (graph.effort.factor, graph.effort.judged_at) == (4, 3_000)
    assert planner.search(view, graph, None, hnsw, vectors[:1], K, None)[1].strategy == "scan all"


def test_walks_that_find_enough_look_no_further() -> None:
    view = view_of(clustered(3_000, 1)[0])
    graph = looked_at(view, HnswConfiguration())
    tell(graph, view, HnswConfiguration(), clustered(100, 2)[0])
    assert (graph.effort.factor, graph.effort.judged_at) == (1, 3_000)


def test_walks_that_are_not_believed_miss_nothing_for_then_all_is_scanned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planner, "_WALK_S_PER_CANDIDATE", 0.0)
    vectors = np.repeat(by_lot(30), 100, axis=0)
    np.random.default_rng(2).shuffle(vectors)
    graph = looked_at(view_of(vectors), HnswConfiguration())
    tell(graph, view_of(vectors), HnswConfiguration())
    assert graph.effort.factor == 1
    graph.effort = Effort()
    monkeypatch.setattr(walks, "believed", lambda *arguments: arguments[4])
    tell(graph, view_of(vectors), HnswConfiguration())
    assert graph.effort.factor > 1, "copies fill what such walks keep"


@pytest.mark.parametrize("left", [0, 3, K])
def test_where_no_more_are_left_than_are_asked_for_walks_miss_nothing(walking: None, left: int) -> None:
    vectors = by_lot(500)
    graph, alive = looked_at(view_of(vectors), HnswConfiguration()), np.arange(500) < left
    graph.hide(alive)
    view = replace(view_of(vectors), alive=alive, records=left)
    for query in by_lot(QUESTIONS, seed=8):
        planner.look(view, graph, None, HnswConfiguration(), query)
    assert (graph.effort.factor, graph.effort.judged_at) == (1, 500)


def test_what_codes_know_of_later_rows_makes_no_scan_cheaper(monkeypatch: pytest.MonkeyPatch) -> None:
    view, hnsw = view_of(by_lot(8_000)), HnswConfiguration(**POOR)
    known = view.first(2_000)
    graph = looked_at(known, hnsw)
    held = codes.empty("l2", 48, generation=0).more(view.vectors)
    scan = planner._ways(known, held.first(2_000), 2_000, range(2_000))[0]
    monkeypatch.setattr(planner, "_WALK_S_PER_CANDIDATE", scan / 1_000)
    planner.look(known, graph, held, hnsw, view.vectors[7_000])
    assert (graph.effort.asked, graph.effort.judged_at) == (1, 0)


@pytest.fixture
def half_refused() -> tuple[View, Graph, Any, Any]:
    """A view, its graph, vectors to ask for, and a mask of two thirds of all rows. Of the 300 rows nearest to
    the first question it refuses four fifths, to the second all, and to the third no more than of others."""
    vectors, rng = by_lot(4_000), np.random.default_rng(4)
    view = view_of(vectors)
    graph, asked = looked_at(view, HnswConfiguration()), by_lot(3, seed=5)
    wanted = rng.random(4_000) < 0.75
    for query, kept in zip(asked, (5, 10_000)):
        near = np.argsort(((vectors - query) ** 2).sum(axis=1))[:300]
        wanted[near] = np.arange(300) % kept == kept - 1
    return view, graph, asked, wanted


@pytest.mark.parametrize("dear", [False, True])
def test_where_fewer_neighbours_pass_than_of_all_rows_a_walk_looks_further_while_that_pays(
    half_refused: Any, monkeypatch: pytest.MonkeyPatch, dear: bool
) -> None:
    view, graph, asked, wanted = half_refused
    scan = planner._ways(view, None, int(wanted.sum()), range(4_000))[1]
    monkeypatch.setattr(planner, "_WALK_S_PER_CANDIDATE", scan / (220 if dear else 10_000))
    nearest_of, walked = graph.nearest, []

    def noted(queries: Any, k: int, ef: int, *others: Any) -> Any:
        walked.append((len(queries), ef))
        return nearest_of(queries, k, ef, *others)

    graph.nearest = noted
    found, plan = planner.search(view, graph, None, HnswConfiguration(), asked, K, wanted)
    assert plan.strategy == "graph, then filter" and plan.ef is not None
    further = [ef for count, ef in walked if count == 1 and ef > plan.ef]
    assert (1, plan.ef) in walked and len(walked) == (1 if dear else 2) == 1 + len(further)
    assert all(1.2 * plan.ef < ef < 3 * plan.ef for ef in further)
    rows = np.flatnonzero(wanted)
    for query, (_, distances) in zip(asked, found, strict=True):
        truth = np.sort(((view.vectors[rows].astype(np.float64) - query) ** 2).sum(axis=1))[:K]
        assert np.mean(distances <= truth[-1] * (1 + 1e-9)) >= 0.9


@pytest.mark.parametrize(("last", "answered"), [(24, True), (26, False)])
def test_where_k_of_the_nearest_quarter_pass_a_walk_has_found_enough(
    half_refused: Any, last: int, answered: bool
) -> None:
    view, graph, asked, _ = half_refused
    met = graph.met(asked[:1], 100, view, view.alive)
    assert met is not None
    near, wanted = met[0][0], np.ones(4_000, dtype=np.bool_)
    passing = near[[*range(K - 1), last]]
    wanted[near], wanted[passing] = False, True
    [[found], _] = graph.nearest(asked[:1], K, 100, view, wanted, least=60)
    assert (found is not None) == answered
    assert found is None or set(passing) <= set(found)


def test_of_rows_that_are_newer_than_a_mask_none_passes(half_refused: Any) -> None:
    view, graph, asked, wanted = half_refused
    older = replace(view, rows=2_000, alive=view.alive[:2_000], records=2_000, vectors=view.vectors[:2_000])
    met = graph.met(asked, 50, older, wanted[:2_000])
    assert met is not None and all(wanted[rows].all() and (rows < 2_000).all() for rows, _ in met)
    near = [np.argsort(((view.vectors - query) ** 2).sum(axis=1))[:50] for query in asked]
    expected = [int((wanted[rows] & (rows < 2_000)).sum()) for rows in near]
    assert max(abs(len(rows) - n) for (rows, _), n in zip(met, expected, strict=True)) <= 3, (
        "but for what a walk misses"
    )
    graph.hide(np.arange(4_000) > 10)
    assert graph.met(asked, 50, view, wanted) is None  # the view sees records that it has forgotten


def test_a_graph_is_asked_again_when_it_has_doubled() -> None:
    assert [Effort().is_due(rows) for rows in (4_095, 4_096)] == [False, True]
    effort = Effort(factor=4, judged_at=5_000)
    assert [effort.is_due(rows) for rows in (4_999, 9_999, 10_000)] == [False, False, True]
    for _ in range(QUESTIONS):
        assert (effort.factor, effort.is_due(10_000)) == (4, True)
        effort.missed(0, 10_000)
    assert (effort.factor, effort.is_due(10_000)) == (1, False)


def test_what_is_missed_counts_by_the_factor_that_is_tried() -> None:
    effort = Effort()
    for _ in range(4):
        effort.missed(7, 100)
    assert (effort.trial, effort.asked) == (1, 4)  # 28 of 640 may be missed
    effort.missed(1, 100)
    assert (effort.trial, effort.asked) == (2, 0)
    for _ in range(QUESTIONS):
        effort.missed(0, 100)
    assert (effort.factor, effort.judged_at, effort.trial) == (2, 100, 1)


@pytest.mark.usefixtures("walking", "few_are_tried")
@pytest.mark.parametrize("slice_s", [0.01, 0.0])  # several, and those that have no time left
def test_the_rows_that_are_asked_about_are_alive_and_wait_to_be_inserted(
    client: vicinal.Client, monkeypatch: pytest.MonkeyPatch, slice_s: float
) -> None:
    vectors, look, asked = clustered(3_000, 1)[0], planner.look, []

    def noted(view: View, *arguments: Any) -> None:
        asked.append((view.rows, int(np.flatnonzero((vectors == arguments[-1]).all(axis=1))[0])))
        look(view, *arguments)

    monkeypatch.setattr(planner, "look", noted)
    monkeypatch.setattr(_upkeep, "_SLICE_S", slice_s)
    things = client.create_collection("things", embedding_function=None)
    with monkeypatch.context() as patched:
        patched.setattr(_upkeep.Upkeep, "__call__", lambda _: None)  # until all is there
        things.add(ids=list(map(str, range(3_000))), embeddings=vectors)
        things.delete(ids=[str(row) for row in range(0, 3_000, 2)])
    things.optimize()
    assert all(row % 2 and row >= known for known, row in asked)
    first = [row for _, row in asked[:QUESTIONS]]
    assert first == sorted(first) and first[0] < 700 and first[-1] > 2_900


def test_a_checkpoint_of_before_walks_were_tried_is_believed(walking: None, tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=list(map(str, range(800))), embeddings=clustered(800, 1)[0])
        wait_for_index(things)
    [manifest] = tmp_path.rglob("graph.json")
    kept = json.loads(manifest.read_text(encoding="utf-8"))
    assert (kept["covers"].pop("ef_factor"), kept["covers"].pop("judged_at")) == (1, 0)
    kept.pop("seal")
    manifest.write_text(json.dumps({**kept, "seal": _seal(kept)}))
    with vicinal.PersistentClient(tmp_path) as client, pytest.MonkeyPatch.context() as patched:
        patched.setattr(Graph, "extend", None)  # nothing is built
        things = client.get_collection("things")
        wait_for_index(things)
        assert client._backend.status(Status(things.id)).rows_in_graph == 800


def looked_at(view: View, hnsw: HnswConfiguration) -> Graph:
    """A graph of all living rows of a view, in which all have been looked for."""
    graph = Graph(hnsw, view.vectors.shape[1], generation=0)
    rows = graph.extend(view.vectors, view.alive, view.rows), graph.review(view.vectors)
    for _ in itertools.chain(*rows):
        pass
    return graph


def tell(graph: Graph, view: View, hnsw: HnswConfiguration, strangers: Any = None) -> None:
    """Ask questions until they have told something."""
    for query in itertools.cycle(by_lot(100, seed=8) if strangers is None else strangers):
        if graph.effort.judged_at:
            break
        planner.look(view, graph, None, hnsw, query)


def test_where_a_walk_cannot_fill_its_answer_every_row_is_a_stray() -> None:
    class Refusing:
        def knn_query(self, *_arguments: Any, **_options: Any) -> Any:
            raise RuntimeError("Cannot return the results in a contiguous 2D array")

    vectors = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    graph, view = Graph(HnswConfiguration(), 8, generation=0), view_of(vectors)
    for _ in itertools.chain(graph.extend(vectors, view.alive, 3), graph.review(vectors)):
        pass
    assert graph.coverage().strays.tolist() == []  # fewer rows than neighbours are asked for
    graph._index = Refusing()
    for _ in graph.review(vectors):
        pass
    assert graph.coverage().strays.tolist() == []  # nothing is new
    graph.reviewed_rows = graph._all_reviewed_at = 0
    for _ in graph.review(vectors):
        pass
    assert graph.coverage().strays.tolist() == [0, 1, 2]
    assert graph.nearest(vectors, 1, 10, view, view.alive) is None


def test_a_row_in_whose_place_a_nearer_one_is_found_is_a_stray_by_inner_products_too() -> None:
    vectors = np.array([[5, 0, 0], [1, 5, 0], [1, 0, 5]], dtype=np.float32)
    graph = Graph(HnswConfiguration(space="ip"), 3, generation=0)
    for _ in graph.extend(vectors, view_of(vectors).alive, 3):
        pass

    class FindsTheFirst:
        def knn_query(self, own: Any, k: int, **_options: Any) -> Any:
            return np.zeros((len(own), k), np.uint64), np.repeat(1 - own @ vectors[:1].T, k, axis=1)

    graph._index = FindsTheFirst()
    for _ in graph.review(vectors):  # at -4, where its own distance is -25
        pass
    assert graph.coverage().strays.tolist() == [1, 2]


@pytest.mark.parametrize("space", SPACES)
def test_one_of_many_copies_is_no_stray_though_others_are_found_in_its_place(space: Any) -> None:
    vectors = np.repeat(np.random.default_rng(1).standard_normal((2, 48)).astype(np.float32), 700, axis=0)
    graph = Graph(HnswConfiguration(space=space, num_threads=1), 48, generation=0)
    for _ in itertools.chain(graph.extend(vectors, view_of(vectors).alive, 1_400), graph.review(vectors)):
        pass
    assert graph.coverage().strays.tolist() == []


@pytest.mark.parametrize("space", SPACES)
def test_a_graph_that_is_kept_without_its_vectors_gets_them_back(space: Any) -> None:
    rng = np.random.default_rng(6)
    vectors = (rng.standard_normal((700, 16)) * 10.0 ** rng.integers(-2, 3, (700, 1))).astype(np.float32)
    view = replace(view_of(vectors), alive=rng.random(700) < 0.8)  # the dead ones are never inserted
    configuration = HnswConfiguration(space=space, num_threads=1)
    graph, again = (Graph(configuration, 16, generation=0) for _ in range(2))
    for _ in itertools.chain(graph.extend(vectors, view.alive, 600), graph.review(vectors)):
        pass
    view.alive[100:200] = False
    graph.hide(view.alive)
    again.unpack(graph.pack(), graph.coverage(), vectors)
    assert (again.rows, again.hidden, again.reviewed_rows) == (600, graph.hidden, 600)
    asked = rng.standard_normal((20, 16)).astype(np.float32)
    first = replace(view, rows=600, alive=view.alive[:600], records=int(view.alive[:600].sum()))
    own, theirs = (one.nearest(asked, 10, 600, first, first.alive) for one in (graph, again))
    assert own is not None and theirs is not None
    for a, b in zip(own[0], theirs[0], strict=True):
        assert np.array_equal(a, b)
    for _ in itertools.chain(again.extend(vectors, view.alive, 700), again.review(vectors)):
        pass
    living = replace(view, records=int(view.alive.sum()))
    for query in asked:
        expected = np.flatnonzero(view.alive)[nearest(query, vectors[view.alive], 10, space)[0]]
        found = again.nearest(query[None], 10, 700, living, living.alive)
        assert found is not None and set(expected.tolist()) <= set(found[0][0].tolist())


def test_a_graph_of_dead_rows_alone_is_kept_too() -> None:
    graph, again = (Graph(HnswConfiguration(), 4, generation=0) for _ in range(2))
    vectors, dead = np.ones((5, 4), dtype=np.float32), np.zeros(5, dtype=np.bool_)
    for _ in graph.extend(vectors, dead, 5):
        pass
    again.unpack(graph.pack(), graph.coverage(), vectors)
    for _ in again.extend(np.ones((9, 4), dtype=np.float32), np.ones(9, dtype=np.bool_), 9):
        pass
    assert (again.rows, again.hidden) == (9, 5)


def test_links_are_not_believed_beside_other_vectors() -> None:
    graph = Graph(HnswConfiguration(), 4, generation=0)
    vectors = np.random.default_rng(7).standard_normal((50, 4)).astype(np.float32)
    for _ in graph.extend(vectors, np.ones(50, dtype=np.bool_), 50):
        pass
    packed, covered = graph.pack(), graph.coverage()
    with pytest.raises(ValueError, match="shape"):
        Graph(HnswConfiguration(), 4, generation=0).unpack(packed, covered, vectors.repeat(2, 1))
    for other in (Graph(HnswConfiguration(), 8, 0), Graph(HnswConfiguration(max_neighbors=9), 4, 0)):
        with pytest.raises(ValueError, match="another kind"):
            other.unpack(packed, covered, vectors.repeat(2, 1))
    with pytest.raises(IndexError):
        Graph(HnswConfiguration(), 4, generation=0).unpack(packed, covered, vectors[:40])
    numbers = packed["numbers"].tobytes().replace(b'"cur_element_count": 50', b'"cur_element_count": 51')
    for broken in (
        {"upper": packed["upper"][:-1]},
        {"levels": packed["levels"][:-1]},
        {"links": packed["links"][:1]},  # which NumPy would repeat
        {"numbers": np.frombuffer(numbers, dtype=np.uint8)},
    ):
        other = Graph(HnswConfiguration(), 4, generation=0)
        with pytest.raises(ValueError, match="contradict"):
            other.unpack({**packed, **broken}, covered, vectors)


@pytest.mark.parametrize("dimension", [3, 384, 4096])
def test_a_vector_is_at_distance_0_from_its_equal_and_for_cosine_from_its_multiples(dimension: int) -> None:
    vectors = np.random.default_rng(dimension).standard_normal((300, dimension)).astype(np.float32)
    for space in ("l2", "cosine"):
        found = [exact.between(space, v.astype(float), v[None].astype(float))[0] for v in vectors]
        assert set(found) == {0.0}
    multiples = (vectors[0] * np.float32([[1], [3], [1e-5], [1e5]])).astype(float)
    assert exact.between("cosine", vectors[0].astype(float), multiples).tolist() == [0, 0, 0, 0]
    turned = vectors[0].astype(float)
    turned[0] += 1e-5 * np.linalg.norm(turned)
    assert exact.between("cosine", vectors[0].astype(float), turned[None])[0] > 1e-12


@pytest.mark.parametrize("space", SPACES)
def test_measuring_many_rows_takes_the_memory_of_a_few(space: Any, peak_of: Any) -> None:
    """Memory that the system has to give anew takes ten times as long as the arithmetic."""
    vectors = np.ones((5_000, 384), dtype=np.float32)
    distances, peak = peak_of(lambda: exact.measure(vectors, space, vectors[0], np.arange(5_000)))
    assert (len(distances), peak < 5 << 20) == (5_000, True)


@pytest.mark.parametrize("dimension", [5, 8192, 9000, 16_384])
def test_a_distance_is_the_same_alone_and_among_others(dimension: int) -> None:
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((40, dimension)).astype(np.float32)
    query, norms = rng.standard_normal(dimension).astype(np.float32), lengths(vectors)
    for space in ("l2", "cosine", "ip"):
        together = exact.measure(vectors, space, query, np.arange(40), norms)
        alone = [exact.measure(vectors, space, query, np.array([row]), norms)[0] for row in range(40)]
        assert together.tolist() == alone


def test_a_view_that_is_older_than_the_graph_finds_its_own_rows(walking: None) -> None:
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((600, 16)).astype(np.float32)
    vectors[300:] *= 0.001  # newer rows, all nearer to the origin
    alive = np.ones(600, dtype=np.bool_)
    graph = Graph(HnswConfiguration(), 16, generation=0)
    for _ in itertools.chain(graph.extend(vectors, alive, 600), graph.review(vectors)):
        pass
    origin, first = np.zeros((1, 16), dtype=np.float32), vectors[:300]
    older = View(0, 0, 300, 300, alive[:300], None, first, np.linalg.norm(first, axis=1))
    assert graph.nearest(origin, 10, 50, older, older.alive, least=10) == ([None], 300)
    found = graph.nearest(origin, 10, 500, older, older.alive, least=10)
    assert found is not None and found[0][0] is not None
    expected = nearest(origin[0], vectors[:300], 10, "l2")[0]
    assert set(expected) <= set(found[0][0].tolist())
    [(rows, _)], plan = planner.search(older, graph, None, HnswConfiguration(), origin, 10, None)
    assert (rows.tolist(), plan.strategy) == (list(expected), "scan after graph")


def test_a_view_that_sees_what_the_graph_has_hidden_is_scanned(walking: None) -> None:
    """As one that was taken before a deletion."""
    vectors = np.random.default_rng(4).standard_normal((600, 16)).astype(np.float32)
    graph, before = Graph(HnswConfiguration(), 16, generation=0), view_of(vectors)
    for _ in itertools.chain(graph.extend(vectors, before.alive, 600), graph.review(vectors)):
        pass
    graph.hide(np.arange(600) >= 300)
    order = nearest(vectors[0], vectors, 600, "l2")[0]
    for allowed in (None, np.arange(600) % 5 > 0):  # the filter has a few neighbours looked at first
        [(rows, _)], plan = planner.search(before, graph, None, HnswConfiguration(), vectors[:1], 10, allowed)
        expected = [row for row in order if allowed is None or allowed[row]][:10]
        assert (rows.tolist(), plan.strategy) == (expected, "scan after graph")


def test_rows_that_are_in_the_graph_and_not_looked_for_yet_are_found_once(walking: None) -> None:
    vectors = np.random.default_rng(5).standard_normal((600, 16)).astype(np.float32)
    graph, view = Graph(HnswConfiguration(num_threads=1), 16, generation=0), view_of(vectors)
    first, then = (graph.extend(vectors, view.alive, stop) for stop in (300, 600))
    for _ in itertools.chain(first, graph.review(vectors), then):
        pass
    assert (graph.reviewed_rows, graph.rows) == (300, 600)
    for query in vectors[::50]:
        [(rows, _)], plan = planner.search(view, graph, None, HnswConfiguration(), query[None], 10, None)
        assert (rows.tolist(), plan.strategy) == (nearest(query, vectors, 10, "l2")[0], "graph")


@pytest.mark.parametrize("space", SPACES)
def test_of_the_rows_that_a_walk_misses_none_that_is_near_is_left_out(space: Any) -> None:
    rng = np.random.default_rng(3)
    vectors = (rng.standard_normal((60, 8)) * 10.0 ** rng.integers(-2, 3, (60, 1))).astype(np.float32)
    vectors[7] = 0
    rows = np.arange(0, 60, 2)
    strays = Strays.among(vectors, rows, space)
    for query in rng.standard_normal((30, 8)).astype(np.float32):
        _, distances = nearest(query, vectors[rows], len(rows), space)
        for limit in distances[::7]:
            order, within = nearest(query, vectors[rows], len(rows), space)
            near = {int(rows[i]) for i, distance in zip(order, within) if distance <= limit}
            assert near <= set(strays.within(query, float(limit), None).tolist())
    far = np.zeros(60, dtype=np.bool_)
    assert strays.within(vectors[0], np.inf, far).tolist() == []
    older = np.ones(9, dtype=np.bool_)  # the mask of a view that lacks most of these rows
    assert strays.within(vectors[0], np.inf, older).tolist() == [0, 2, 4, 6, 8]


def test_a_row_that_is_taken_for_one_that_walks_miss_is_found_once_until_it_is_deleted(walking: None) -> None:
    vectors = np.random.default_rng(6).standard_normal((600, 16)).astype(np.float32)
    graph, before = Graph(HnswConfiguration(), 16, generation=0), view_of(vectors)
    for _ in itertools.chain(graph.extend(vectors, before.alive, 600), graph.review(vectors)):
        pass
    graph._strays = Strays.among(vectors, np.array([5]), "l2")
    expected = nearest(vectors[5], vectors, 11, "l2")[0]
    for view, told in (
        (before, expected[:10]),
        (replace(before, alive=np.arange(600) != 5, records=599), expected[1:]),
    ):
        graph.hide(view.alive)
        [(rows, _)], plan = planner.search(view, graph, None, HnswConfiguration(), vectors[5:6], 10, None)
        assert plan.strategy.startswith("graph")
        assert rows.tolist() == told


@pytest.mark.parametrize("coded", [5_000, 3_500, 2_000])
@pytest.mark.parametrize("space", SPACES)
def test_a_filter_on_neighbouring_rows_reads_no_others(
    space: Any, coded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = np.random.default_rng(4).standard_normal((5_000, 32)).astype(np.float32)
    view, allowed = view_of(vectors), np.zeros(5_000, dtype=np.bool_)
    allowed[3_000:4_200] = True
    allowed[3_100:3_150] = False
    read: list[int] = []
    dots = kernel.dots
    monkeypatch.setattr(kernel, "dots", lambda query, many: read.append(len(many)) or dots(query, many))
    made = codes.empty(space, 32, 0).extend(vectors, coded)
    [(rows, distances)], _ = planner.search(
        view, None, made, HnswConfiguration(space=space), vectors[:1], 10, allowed
    )
    wanted = np.flatnonzero(allowed)
    order, within = nearest(vectors[0], vectors[wanted], 10, space)
    assert rows.tolist() == wanted[order].tolist()
    assert distances.tolist() == pytest.approx(within)
    assert sum(read) == min(4_200, max(coded, 3_000)) - 3_000


@pytest.mark.parametrize(
    ("rows", "dimension", "strategy"),
    [
        (70_000, 384, "graph"),
        (20_000, 1536, "graph"),
        (20_000, 3072, "graph"),
        (4_000, 1536, "scan all"),
        (3_000, 3072, "scan all"),
        (1_000, 8192, "scan all"),
        (400, 16_384, "scan all"),
    ],
)
def test_few_long_vectors_are_scanned(
    monkeypatch: pytest.MonkeyPatch, rows: int, dimension: int, strategy: str
) -> None:
    """Walking measures some thousand vectors, wherever they stand; measured: three times a scan's time."""
    monkeypatch.setattr(planner, "_WALK_S_PER_CANDIDATE", 2.1e-6)
    vectors = np.broadcast_to(np.zeros(dimension, dtype=np.float32), (rows, dimension))
    view = View(0, 0, rows, rows, np.ones(rows, dtype=np.bool_), None, vectors, np.zeros(rows))
    graph = Graph(HnswConfiguration(), dimension, generation=0)
    graph.rows = graph.reviewed_rows = rows
    covered = replace(codes.empty("l2", dimension, 0), rows=rows)
    plan = planner.choose(view, graph, covered, 10, rows, range(rows), HnswConfiguration())
    assert plan.strategy == strategy


def test_what_is_appended_in_place_leaves_the_older_array_as_it_was() -> None:
    versions = [appended(np.empty(0, dtype=np.int64), np.arange(3))]
    for count in (1, 0, 5_000, 2):
        versions.append(appended(versions[-1], np.arange(count)))
    whole = versions[-1].tolist()
    assert [version.tolist() for version in versions] == [whole[: len(version)] for version in versions]
    assert len(whole) == 3 + 1 + 5_000 + 2


# --- what the graph must never do ------------------------------------------------------------------


@pytest.fixture
def graphed(walking: None, client: vicinal.Client) -> vicinal.Collection:
    """800 clustered records with a graph over them, on a client of each kind."""
    things = client.create_collection("things", embedding_function=None)
    things.add(ids=list(map(str, range(800))), embeddings=clustered(800, 1)[0])
    wait_for_index(things)
    return things


def plan_of(things: vicinal.Collection, **kwargs: Any) -> tuple[list[str], str]:
    """The ids of one query's answer, and how it was found."""
    found = things.query(query_embeddings=np.zeros(DIMENSION), explain=True, **kwargs)
    return found["ids"][0], found["explain"].strategy


def test_a_write_is_found_before_the_graph_knows_it(graphed: vicinal.Collection) -> None:
    for number in range(20):
        near = np.full((1, DIMENSION), 0.001 * (20 - number))
        graphed.add(ids=[f"new {number}"], embeddings=near)
        ids, plan = plan_of(graphed, n_results=1)
        assert (ids, "graph" in plan) == ([f"new {number}"], True)


def test_deleted_records_never_come_back(graphed: vicinal.Collection) -> None:
    while (left := graphed.count()) > 30:
        ids, _ = plan_of(graphed, n_results=25)
        graphed.delete(ids=ids)
        assert set(ids).isdisjoint(plan_of(graphed, n_results=left)[0])
        assert len(plan_of(graphed, n_results=left)[0]) == left - 25


def test_an_updated_vector_is_found_where_it_is_now(graphed: vicinal.Collection) -> None:
    nearest_first, _ = plan_of(graphed, n_results=1)
    graphed.update(ids=nearest_first, embeddings=[[50.0] * DIMENSION])
    assert nearest_first[0] not in plan_of(graphed, n_results=700)[0]
    found = graphed.query(query_embeddings=[51.0] * DIMENSION, n_results=1)["ids"]
    assert found == [nearest_first]


@pytest.mark.parametrize("k", [1, 100, 101, 799, 800, 5_000])
def test_any_number_of_results_can_be_asked_for(graphed: vicinal.Collection, k: int) -> None:
    ids, plan = plan_of(graphed, n_results=k)
    assert (len(set(ids)), plan) == (min(k, 800), "graph")


def test_a_number_that_no_float_holds_asks_for_all(graphed: vicinal.Collection) -> None:
    huge = 10**400
    some = {"ids": list(map(str, range(0, 800, 2)))}
    for asked, count in (({}, 800), (some, 400)):
        assert len(set(plan_of(graphed, n_results=huge, **asked)[0])) == count
        assert len(plan_of(graphed, n_results=1, lambda_mult=0.5, fetch_k=huge, **asked)[0]) == 1
    rank = vicinal.Knn(query=[0.0] * DIMENSION, limit=huge)
    assert len(graphed.search(vicinal.Search(rank=rank, limit=800))["ids"][0]) == 800


@pytest.mark.parametrize("matching", [0, 1, 3, 50])
def test_a_filter_that_few_satisfy_gives_all_of_those(graphed: vicinal.Collection, matching: int) -> None:
    wanted = [str(i * 16) for i in range(matching)]
    ids, _ = plan_of(graphed, n_results=60, ids=[*wanted, "unknown"])
    assert sorted(ids) == sorted(wanted)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("value", [0.0, 1.0], ids=["zeros", "ones"])
def test_equal_vectors_are_all_found(walking: None, space: str, value: float) -> None:
    with vicinal.EphemeralClient() as client:
        things = client.create_collection(
            "things", embedding_function=None, configuration={"hnsw": {"space": space}}
        )
        things.add(ids=list(map(str, range(700))), embeddings=np.full((700, DIMENSION), value))
        wait_for_index(things)
        for k in (10, 300, 700):
            found = things.query(query_embeddings=[1.0] * DIMENSION, n_results=k)
            assert len(set(found["ids"][0])) == k
            assert len(set(found["distances"][0])) == 1


@pytest.mark.parametrize("space", SPACES)
def test_what_a_deleted_record_has_left_in_the_file_decides_nothing(tmp_path: Path, space: Any) -> None:
    vectors = clustered(300, 1)[0]
    with vicinal.PersistentClient(tmp_path) as client:
        configuration = {"hnsw": {"space": space}}
        things = client.create_collection("things", embedding_function=None, configuration=configuration)
        things.add(ids=list(map(str, range(300))), embeddings=vectors)
        things.delete(ids=["299"])
    [file] = tmp_path.glob("collections/*/vectors-*.f32")
    file.write_bytes(file.read_bytes().replace(vectors[299].tobytes(), b"\xff" * vectors[299].nbytes))  # NaN
    with vicinal.PersistentClient(tmp_path) as client:
        found = client.get_collection("things").query(query_embeddings=vectors[0], n_results=10)
        assert np.allclose(found["distances"][0], nearest(vectors[0], vectors[:299], 10, space)[1])


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("size", [1e-25, 1e25], ids=["tiny", "huge"])
def test_vectors_whose_squares_float32_cannot_hold_mislead_no_walk(
    walking: None, space: Any, size: float
) -> None:
    vectors = clustered(1_000, 1)[0]
    vectors[::20] *= np.float32(size)
    with vicinal.EphemeralClient() as client:
        things = client.create_collection(
            "things", embedding_function=None, configuration={"hnsw": {"space": space}}
        )
        things.add(ids=list(map(str, range(1_000))), embeddings=vectors)
        wait_for_index(things)
        queries = clustered(10, 2)[0]
        for query in (*queries, *(queries * np.float32(size))):
            found = things.query(query_embeddings=query, n_results=10, explain=True)
            assert "graph" in found["explain"].strategy
            assert np.allclose(found["distances"][0], nearest(query, vectors, 10, space)[1])


def test_a_far_cluster_is_found_when_the_filter_asks_for_it(walking: None) -> None:
    with vicinal.EphemeralClient() as client:
        things = client.create_collection("things", embedding_function=None)
        vectors = clustered(900, 1)[0]
        vectors[600:] += 100
        metadatas = [{"far": i >= 600} for i in range(900)]
        things.add(ids=list(map(str, range(900))), embeddings=vectors, metadatas=metadatas)
        wait_for_index(things)
        query = vectors[0]
        found = things.query(query_embeddings=query, n_results=10, where={"far": True})
        assert np.allclose(found["distances"][0], nearest(query, vectors[600:], 10)[1])


def test_ef_grows_with_the_collection_unless_it_is_given(
    walking: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vicinal.config._EF_RECORDS", 250)
    vectors = clustered(4_000, 1)[0]
    with vicinal.EphemeralClient() as client:
        things = client.create_collection("things", embedding_function=None)

        def ef(first: int, stop: int) -> int | None:
            ids = list(map(str, range(first, stop)))
            things.add(ids=ids, embeddings=vectors[first:stop])
            wait_for_index(things)
            return things.query(query_embeddings=vectors[0], explain=True)["explain"].ef

        assert ef(0, 2_000) == int(100 * 8**0.75)
        assert ef(2_000, 4_000) == int(100 * 16**0.75)
        things.modify(configuration={"hnsw": {"ef_search": 30}})
        assert things.query(query_embeddings=vectors[0], explain=True)["explain"].ef == 30


def test_up_to_so_many_records_ef_is_the_same() -> None:
    usual = HnswConfiguration.model_validate({})
    assert [usual.ef(records) for records in (0, 1, 50_000, 69_000)] == [128] * 4
    assert [usual.ef(records) for records in (100_000, 300_000, 1_000_000)] == [168, 383, 945]
    told = HnswConfiguration(ef_search=7)
    assert [told.ef(records) for records in (1, 10_000_000)] == [7, 7]


def test_a_batch_walks_in_parts(walking: None, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clustered(3_000, 1)[0]
    with vicinal.EphemeralClient() as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(
            ids=list(map(str, range(3_000))),
            embeddings=vectors,
            metadatas=[{"even": i % 2 == 0} for i in range(3_000)],
        )
        wait_for_index(things)
        for where in (None, {"even": True}):
            whole = things.query(query_embeddings=vectors[:50], where=where, explain=True)
            with monkeypatch.context() as patched:
                patched.setattr(planner, "_WALKED_MAX", 7)
                parts = things.query(query_embeddings=vectors[:50], where=where, explain=True)
            assert parts == whole and str(whole["explain"].strategy).startswith("graph")


@pytest.mark.parametrize("outliers", [0, 50])
def test_a_record_is_found_by_its_own_vector(walking: None, outliers: int) -> None:
    vectors = clustered(3_000, 1)[0]
    vectors[:outliers] += 20 * np.random.default_rng(2).standard_normal((outliers, DIMENSION))
    with vicinal.EphemeralClient() as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=list(map(str, range(3_000))), embeddings=vectors)
        wait_for_index(things)
        found = things.query(query_embeddings=vectors, n_results=1, explain=True)
    assert found["explain"].strategy == "graph"
    missed = [i for i, distances in enumerate(found["distances"]) if distances[0] > 0]
    assert len(missed) <= 0.005 * len(vectors)
    assert [i for i in missed if i < outliers] == []


@pytest.mark.parametrize(
    ("memory_bytes", "nameable", "form"),
    [(float("inf"), True, "links"), (0, True, None), (0, False, "links")],
)
def test_the_graph_is_read_back_with_all_its_rows(
    walking: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    memory_bytes: float,
    nameable: bool,
    form: str | None,
) -> None:
    monkeypatch.setattr(_derived, "memory_bytes", lambda: memory_bytes)
    monkeypatch.setattr(_derived, "can_name", lambda _: nameable)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=list(map(str, range(800))), embeddings=clustered(800, 1)[0])
        wait_for_index(things)
        things.delete(ids=["5", "6"])
        before = plan_of(things, n_results=50)
    (manifest,) = tmp_path.rglob("graph.json")
    entry = json.loads(manifest.read_text(encoding="utf-8"))
    assert entry["covers"].get("form") == form
    assert ((manifest.parent / entry["file"]).stat().st_size < 800 * DIMENSION * 4) == (form == "links")
    monkeypatch.setattr(Graph, "extend", None)  # nothing is built
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        wait_for_index(things)
        assert client._backend.status(Status(things.id)).rows_in_graph == 800
        assert plan_of(things, n_results=50) == before


def test_of_a_graph_that_takes_long_to_build_what_there_is_is_kept(
    walking: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_UNKEPT_S": 0.0, "_KEEPING_SHARE_MAX": float("inf"), "_SLICE_S": 0.0}.items():
        monkeypatch.setattr(_upkeep, name, value)
    vectors, extend, begun = clustered(800, 1)[0], Graph.extend, []

    def stopped(graph: Graph, *arguments: Any) -> Iterator[int]:
        yield from itertools.takewhile(lambda rows: rows < 780, extend(graph, *arguments))
        raise RuntimeError("killed")

    def noted(graph: Graph, *arguments: Any) -> Iterator[int]:
        begun.append(graph.rows)
        return extend(graph, *arguments)

    monkeypatch.setattr(Graph, "extend", stopped)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=list(map(str, range(800))), embeddings=vectors)
        wait_for_index(things)
    (manifest,) = tmp_path.rglob("graph.json")
    covers = json.loads(manifest.read_text(encoding="utf-8"))["covers"]
    assert 700 < covers["rows"] <= 780 and covers["reviewed"] == 0
    monkeypatch.setattr(Graph, "extend", noted)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        wait_for_index(things)
        assert client._backend.status(Status(things.id)).rows_in_graph == 800
        assert begun[0] == covers["rows"]
        found = things.query(query_embeddings=vectors[::20], n_results=1, include=[])["ids"]
    assert found == [[str(row)] for row in range(0, 800, 20)]
    covers = json.loads(manifest.read_text(encoding="utf-8"))["covers"]
    assert (covers["rows"], covers["reviewed"]) == (800, 800), "looked for at every opening"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is in place")
@pytest.mark.parametrize("memory_bytes", [float("inf"), 0])
def test_the_pages_of_vectors_are_put_in_place_if_they_fit(
    walking: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_bytes: float
) -> None:
    for module in (_upkeep, _derived):  # a graph that is kept without its vectors reads them all
        monkeypatch.setattr(module, "memory_bytes", lambda: memory_bytes)
    vectors = np.random.default_rng(8).normal(size=(8000, 256)).astype(np.float32)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=[str(i) for i in range(len(vectors))], embeddings=vectors)
        things.optimize()
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        assert things.query(query_embeddings=vectors[7], n_results=1)["ids"] == [["7"]]
        wait_for_index(things)
        (path,) = tmp_path.resolve().rglob("vectors-*.f32")
        mapping = Path("/proc/self/smaps").read_text(encoding="utf-8").split(str(path))[1]
        in_place = 1024 * int(mapping.split("Rss:")[1].split()[0])
    assert (in_place >= vectors.nbytes) == (memory_bytes > 0)


def test_progress_is_told_until_every_row_has_been_looked_for(
    graphed: vicinal.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    asked, review = threading.Event(), Graph.review

    def report(done: int, total: int) -> None:
        told.append((done, total))
        asked.set()

    def watched(graph: Graph, *arguments: Any) -> Iterator[int]:
        asked.wait(60)
        return review(graph, *arguments)

    monkeypatch.setattr(Graph, "review", watched)
    monkeypatch.setattr(_progress, "_EVERY_S", 0.001)
    with graphed._backend._opened.using(graphed.id) as live:  # type: ignore[attr-defined]
        live.graph.reviewed_rows = 0
    graphed.optimize(progress=report)
    assert (told[0], told[-1]) == ((600, 800), (800, 800))


def test_compaction_changes_no_answer(graphed: vicinal.Collection) -> None:
    graphed.delete(ids=[str(i) for i in range(0, 800, 3)])
    graphed.upsert(ids=["1", "4"], embeddings=clustered(2, 5)[0])
    queries = clustered(10, 6)[0]
    before = graphed.query(query_embeddings=queries, n_results=20), graphed.get()
    graphed.compact()
    assert graphed._backend.status(Status(graphed.id)).rows == graphed.count()
    wait_for_index(graphed)
    assert (graphed.query(query_embeddings=queries, n_results=20), graphed.get()) == before


def test_queries_go_on_while_the_graph_grows(walking: None, client: vicinal.Client) -> None:
    things = client.create_collection("things", embedding_function=None)
    vectors = clustered(4_000, 1)[0]
    things.add(ids=["near"], embeddings=[[0.0] * DIMENSION])
    stop, failures = threading.Event(), []

    def ask() -> None:
        while not stop.is_set() and not failures:
            try:
                found = things.query(query_embeddings=np.zeros((30, DIMENSION)), n_results=5)
                assert {ids[0] for ids in found["ids"]} == {"near"}
                assert {len(ids) for ids in found["ids"]} <= {1, 5}
            except BaseException as error:  # a thread's failure is the test's
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for start in range(0, 4_000, 100):
        if failures:
            break
        things.add(ids=[str(i) for i in range(start, start + 100)], embeddings=vectors[start : start + 100])
        things.update(ids=["near"], embeddings=[[1e-6 * start] * DIMENSION])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize(
    ("held", "others"),
    [
        ("shared", ["exclusive", "shared"]),  # a batch that waits goes before later searches
        ("exclusive", ["shared", "shared", "exclusive"]),  # what waited for a batch goes before the next
    ],
)
def test_searches_and_insertions_take_turns(
    held: str, others: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, waiting, order = _SharedLock(), threading.Semaphore(0), []
    wait = lock._changed.wait
    monkeypatch.setattr(lock._changed, "wait", lambda: (waiting.release(), wait()))

    def take(turn: str) -> None:
        with getattr(lock, turn)():
            order.append(turn)

    def started(turn: str) -> threading.Thread:
        thread = threading.Thread(target=take, args=[turn], daemon=True)
        thread.start()
        return thread

    with getattr(lock, held)():
        threads = []
        for turn in sorted(others):  # batches come first
            threads.append(started(turn))
            assert waiting.acquire(timeout=10)
        assert order == []
    for thread in threads:
        thread.join(10)
    started("exclusive").join(10)  # nobody is left who waits
    with lock.shared():
        started("shared").join(10)  # any number at once
    assert order == [*others, "exclusive", "shared"]


# --- exact search ------------------------------------------------------------------------------------


def view_of(vectors: Any) -> View:
    """A view in which every row is alive."""
    rows = np.arange(len(vectors))
    none = np.empty(0, dtype=np.int64)
    made = advance(
        EMPTY, change=1, generation=0, rows=len(vectors), removed=none, live=(rows, rows), vectors=vectors
    )
    assert made.records == len(vectors)
    return made


@given(hnp.arrays(np.bool_, st.integers(1, 40)), st.data())
def test_what_a_mask_matches_is_what_it_allows_and_holds_a_record(alive: Any, data: st.DataObject) -> None:
    rows = len(alive)
    vectors = np.ones((rows, 2), np.float32)
    view = replace(view_of(vectors), alive=alive, records=int(alive.sum()))
    allowed = data.draw(st.none() | hnp.arrays(np.bool_, rows))
    if allowed is not None:
        allowed.flags.writeable = data.draw(st.booleans())
    wanted = [row for row in range(rows) if alive[row] and (allowed is None or allowed[row])]
    for _ in range(2):
        matches = view.matches(allowed)
        assert (matches.rows.tolist(), matches.count) == (wanted, len(wanted))
        assert np.flatnonzero(matches.mask).tolist() == wanted
        assert set(wanted) <= set(matches.span)
        assert allowed is None or matches.span == (range(wanted[0], wanted[-1] + 1) if wanted else range(0))


def test_a_mask_is_looked_through_once_by_all_who_ask_behind_one_filter() -> None:
    view = view_of(np.ones((100, 2), np.float32))
    masks = [np.arange(100) % 20 == n for n in range(9)]
    for mask in masks:
        mask.flags.writeable = False
    first, *_, last = [view.matches(mask) for mask in masks]
    assert view.matches(masks[-1]) is last and last.rows is last.rows
    assert view.matches(masks[0]) is not first  # eight are remembered
    with pytest.raises(ValueError, match="read-only"):
        last.rows[0] = 1
    many = np.arange(100) % 2 == 0
    many.flags.writeable = False
    assert view.matches(many).rows is not view.matches(many).rows  # they would take more than the mask
    later = advance(
        view,
        change=2,
        generation=0,
        rows=100,
        removed=last.rows[:1],
        live=(last.rows[:0], last.rows[:0]),
        vectors=view.vectors,
    )
    assert later.matches(masks[-1]).rows.tolist() == last.rows[1:].tolist()


def test_a_mask_that_somebody_may_write_to_is_looked_through_again() -> None:
    view, mask = view_of(np.ones((10, 2), np.float32)), np.zeros(10, np.bool_)
    assert view.matches(mask).count == 0
    mask[3] = True
    assert (view.matches(mask).count, view.matches(mask).rows.tolist()) == (1, [3])


def truth(space: str, query: Any, vectors: Any) -> list[Fraction | float]:
    """Distances without any rounding (cosine: in float64 of scaled vectors, good to 1e-14)."""
    if space == "cosine":
        return [1 - cosine(query, vector) for vector in vectors]
    q = [Fraction(float(x)) for x in query]
    wide = [[Fraction(float(x)) for x in vector] for vector in vectors]
    if space == "ip":
        return [1 - sum(a * b for a, b in zip(q, v)) for v in wide]
    return [sum((a - b) ** 2 for a, b in zip(q, v)) for v in wide]


def cosine(a: Any, b: Any) -> float:
    if not a.any() or not b.any():
        return 0.0
    a, b = (x.astype(np.float64) / np.abs(x.astype(np.float64)).max() for x in (a, b))
    return float(a @ b / math.sqrt(float(a @ a) * float(b @ b)))


SIZES = [0.0, 1.0, -1.0, 0.5, 1e-20, 1e-30, 1e-38, 1e-45, 1e15, 1e19, 1e30, 3e38, -3e38]
FLOATS = st.one_of(
    st.sampled_from(np.float32(SIZES).tolist()),  # rounded, for Hypothesis takes no others with NumPy 1
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-2, 2, width=32),
)


@st.composite
def searches(draw: st.DrawFn) -> tuple[Any, Any, int]:
    """(query, vectors, k); vectors often repeat, and are often of like size."""
    dimension = draw(st.integers(1, 6))
    shape = (draw(st.integers(1, 12)), dimension)
    kinds = st.one_of(FLOATS, st.just(1.0), st.integers(-2, 2).map(float))
    vectors = draw(hnp.arrays(np.float32, shape, elements=draw(st.sampled_from([FLOATS, kinds]))))
    vectors = vectors[draw(st.lists(st.integers(0, shape[0] - 1), min_size=1, max_size=20))]
    query = draw(hnp.arrays(np.float32, dimension, elements=FLOATS))
    return query, vectors, draw(st.integers(1, len(vectors)))


@given(searches(), st.sampled_from(SPACES))
@example((np.array([1e38], "f4"), np.eye(3, 1, dtype="f4"), 2), "l2")
@example((np.array([1, 0], "f4"), np.array([[0, 1], [1, 1], [1e-25, 0]], "f4"), 1), "cosine")
@example((np.array([1e-23, 0], "f4"), np.array([[1e-23, 1e-24], [1e-23, 0]], "f4"), 1), "l2")
def test_the_exact_search_finds_the_nearest(search: tuple[Any, Any, int], space: Any) -> None:
    query, vectors, k = search
    rows, distances = exact.nearest(view_of(vectors), space, query, k, np.arange(len(vectors)))
    true = truth(space, query, vectors)
    order = sorted(range(len(vectors)), key=lambda row: (true[row], row))[:k]
    assert len(set(rows.tolist())) == k
    largest = max(abs(float(true[row])) for row in order)
    slack = 1e-12 * (1 + largest) if space == "cosine" else 1e-13 * magnitude(space, query, vectors)
    for row, distance, best in zip(rows.tolist(), distances.tolist(), order):
        assert abs(float(true[row] - true[best])) <= slack
        assert abs(distance - float(true[row])) <= slack


def magnitude(space: str, query: Any, vectors: Any) -> float:
    """What float64 rounding is relative to."""
    q, v = (float(np.abs(x.astype(np.float64)).max(initial=0)) for x in (query, vectors))
    return len(query) * ((q + v) ** 2 if space == "l2" else 1 + q * v)


@given(searches(), st.sampled_from(SPACES), st.data())
def test_the_exact_search_of_some_rows_is_the_search_of_those(
    search: tuple[Any, Any, int], space: Any, data: st.DataObject
) -> None:
    query, vectors, k = search
    chosen = sorted(data.draw(st.sets(st.integers(0, len(vectors) - 1), min_size=1)))
    rows, distances = exact.nearest(view_of(vectors), space, query, k, np.array(chosen))
    only = exact.nearest(view_of(vectors[chosen]), space, query, k, np.arange(len(chosen)))
    assert [chosen[row] for row in only[0].tolist()] == rows.tolist()
    assert np.allclose(only[1], distances, rtol=1e-12, atol=0)


@pytest.mark.parametrize("space", SPACES)
def test_large_exact_searches_agree_with_float64(space: Any) -> None:
    vectors = clustered(5_000, 1)[0]
    vectors[1_000:2_000] = vectors[:1_000]
    view = view_of(vectors)
    for query in clustered(10, 2)[0]:
        rows, distances = exact.nearest(view, space, query, 50, np.arange(5_000))
        expected = nearest(query, vectors, 50, space)
        assert np.allclose(distances, expected[1], rtol=1e-12)
        assert rows.tolist() == expected[0]


@pytest.mark.parametrize("space", SPACES)
def test_neighbours_that_float32_cannot_tell_apart_are_told_apart(space: Any) -> None:
    rng = np.random.default_rng(3)
    vectors = (1_000 + 1e-3 * rng.standard_normal((3_000, 64))).astype(np.float32)
    for k in (1, 7):
        query = (1_000 + 1e-3 * rng.standard_normal(64)).astype(np.float32)
        rows, distances = exact.nearest(view_of(vectors), space, query, k, np.arange(3_000))
        expected = nearest(query, vectors, k, space)
        assert np.allclose(distances, expected[1], rtol=1e-9, atol=1e-15)
        assert rows.tolist() == expected[0]


# --- marginal relevance ----------------------------------------------------------------------------


def similarity(space: str, a: Any, b: Any) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    if space == "l2":
        return 1 - float((a - b) @ (a - b)) / 2
    if space == "ip":
        return float(a @ b)
    norms = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norms if norms else 0.0


def is_best_at_each_step(space: str, query: Any, vectors: Any, picked: list[int], weight: float) -> bool:
    """Whether every pick had the largest gain of those left, to within rounding."""
    for step, pick in enumerate(picked):
        gains = {}
        for row in set(range(len(vectors))) - set(picked[:step]):
            overlap = max((similarity(space, vectors[row], vectors[p]) for p in picked[:step]), default=0.0)
            relevance = similarity(space, query, vectors[row])
            gains[row] = weight * relevance - (1 - weight) * overlap if step else relevance
        if gains[pick] < max(gains.values()) - 1e-9:
            return False
    return True


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.just(3)), elements=st.floats(-2, 2, width=16)),
    hnp.arrays(np.float32, 3, elements=st.floats(-2, 2, width=16)),
    st.sampled_from(SPACES),
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.integers(1, 10),
)
def test_marginal_relevance_picks_the_largest_gain_each_time(
    vectors: Any, query: Any, space: Any, weight: float, k: int
) -> None:
    order, distances = nearest(query, vectors, len(vectors), space)
    candidates = vectors[order]
    picked = mmr.select(space, np.array(distances), candidates, k, weight)
    assert len(picked) == len(set(picked)) == min(k, len(vectors))
    assert is_best_at_each_step(space, query, candidates, picked, weight)
    if weight == 1:
        assert picked == list(range(len(picked)))
