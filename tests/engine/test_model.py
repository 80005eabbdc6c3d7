"""Whatever is done in whatever order, a collection answers as a dictionary and plain arithmetic would.

A state machine does everything that can be done to one collection, with so few ids that the same record
is written again and again, and compares every answer with `Model`. `VICINAL_SOAK_S=3600` lets it search
for an hour, with fresh seeds.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

import vicinal
from vicinal._index import planner
from vicinal._storage import changes
from vicinal.errors import InvalidDimensionError, NotFoundError
from vicinal.testing import check, matches, nearest, wait_for_index

SOAK_S = float(os.environ.get("VICINAL_SOAK_S", "0"))
DIMENSION = 2

# --- what can be written and asked ---------------------------------------------------------------

ALL_IDS = ["a", "b", "c", "d", "é", "'; --"]
IDS = st.sampled_from(ALL_IDS)
KEYS = st.sampled_from(["n", "s"])
SCALARS = st.one_of(st.integers(0, 1), st.sampled_from([0.5, 1.0, 2**60, 2**70, "x", ""]))
VALUES = st.one_of(SCALARS, st.none(), st.sampled_from([True, [], [1], [1, "x"], {"n": 1}, {"n": 0}]))
METADATA = st.one_of(st.dictionaries(KEYS, VALUES, max_size=2), st.none())
DOCUMENTS = st.one_of(st.none(), st.sampled_from(["", "one", "two", "one two", "three\n"]))
VECTORS = st.lists(st.integers(-2, 2).map(float), min_size=DIMENSION, max_size=DIMENSION)


@st.composite
def batches(draw: st.DrawFn, ids: list[str] | None = None, embeddings: bool = True) -> dict[str, Any]:
    """Arguments of a write."""
    ids = ids or draw(st.lists(IDS, min_size=1, max_size=4, unique=True))

    def column(values: Any) -> Any:
        return draw(st.lists(values, min_size=len(ids), max_size=len(ids)))

    batch: dict[str, Any] = {"ids": ids}
    if embeddings:
        batch["embeddings"] = column(VECTORS)
        batch["documents"] = draw(st.one_of(st.none(), st.just(column(DOCUMENTS))))
    batch["metadatas"] = draw(st.one_of(st.none(), st.just(column(METADATA))))
    return batch


LEAVES = st.one_of(
    st.builds(lambda key, value: {key: value}, KEYS, SCALARS),
    st.builds(
        lambda key, operator, value: {key: {operator: value}},
        KEYS,
        st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$contains", "$not_contains"]),
        SCALARS,
    ),
    st.builds(
        lambda key, operator, values: {key: {operator: values}},
        st.sampled_from(["n", "s.n"]),
        st.sampled_from(["$in", "$nin"]),
        st.lists(st.integers(0, 2), min_size=1, max_size=3),
    ),
    st.builds(lambda key, flag: {key: {"$exists": flag}}, KEYS, st.booleans()),
    st.builds(lambda ids: {"#id": {"$in": ids}}, st.lists(IDS, min_size=1, max_size=3)),
)
WHERES = st.one_of(
    st.none(),
    LEAVES,
    st.recursive(
        LEAVES,
        lambda inner: st.builds(
            lambda operator, parts: {operator: parts},
            st.sampled_from(["$and", "$or"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
        max_leaves=4,
    ),
)
WHERE_DOCUMENTS = st.one_of(
    st.none(),
    st.builds(
        lambda operator, text: {operator: text},
        st.sampled_from(["$contains", "$not_contains"]),
        st.sampled_from(["one", "t", "three\n"]),
    ),
)

SOME_IDS = st.one_of(st.none(), st.none(), st.lists(IDS, max_size=5))


class Model:
    """A collection as a dictionary: id → [vector, document, metadata], in the order of first adding."""

    def __init__(self) -> None:
        self.records: dict[str, list[Any]] = {}

    def write(self, mode: str, batch: dict[str, Any], merge: bool) -> tuple[int, int, int]:
        """Do what add, upsert or update does; how many were added, updated and kept."""
        added, updated, kept = 0, 0, 0
        for item, id in enumerate(batch["ids"]):
            given = {name: column[item] for name, column in batch.items() if column is not None}
            if id not in self.records:
                if mode == "update":
                    continue
                metadata = given.get("metadatas")
                if metadata is not None and mode == "upsert" and merge:
                    metadata = {key: value for key, value in metadata.items() if value is not None}
                self.records[id] = [given["embeddings"], given.get("documents"), metadata]
                added += 1
            elif mode == "add":
                kept += 1
            else:
                self._change(self.records[id], given, merge)
                updated += 1
        return added, updated, kept

    @staticmethod
    def _change(record: list[Any], given: dict[str, Any], merge: bool) -> None:
        record[0] = given.get("embeddings", record[0])
        if given.get("documents") is not None:
            record[1] = given["documents"]
        if "metadatas" in given and not merge:
            record[2] = given["metadatas"]
        elif given.get("metadatas") is not None:
            merged = {**(record[2] or {}), **given["metadatas"]}
            gone = {key for key, value in given["metadatas"].items() if value is None}
            record[2] = {key: value for key, value in merged.items() if key not in gone}

    def select(self, ids: list[str] | None, where: Any, where_document: Any) -> list[str]:
        return [
            id
            for id, (_, document, metadata) in self.records.items()
            if (ids is None or id in ids)
            and matches(metadata, document, id=id, where=where, where_document=where_document)
        ]


def same_metadata(a: Any, b: Any) -> bool:
    """Equal, and of equal types: 1 is not True; an empty object and none are not told apart."""
    return repr(sorted((a or {}).items())) == repr(sorted((b or {}).items()))


EVENTS = [
    "write_the_wrong_dimension",
    "wait_for_index",
    "compact",
    "begin_anew",
    "reopen",
    "open_another_client",
    "lose_the_checkpoints",
]


class Machine(RuleBasedStateMachine):
    """Everything that can be done to one collection, by one client, or two on one directory."""

    persistent = False

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.lost = False
        self.directory = tempfile.TemporaryDirectory()
        self.clients = [self._open()]

    def _open(self) -> vicinal.Client:
        return (
            vicinal.PersistentClient(Path(self.directory.name))
            if self.persistent
            else vicinal.EphemeralClient()
        )

    @initialize(space=st.sampled_from(["l2", "cosine", "ip"]), batch=batches(ids=ALL_IDS))
    def begin(self, space: Any, batch: dict[str, Any]) -> None:
        self.create(space)
        self.things[0].add(**batch)
        self.model.write("add", batch, True)

    def create(self, space: Any) -> None:
        self.space = space
        self.clients[-1].create_collection(
            "things", embedding_function=None, configuration={"hnsw": {"space": space}}
        )
        self.things = [client.get_collection("things") for client in self.clients]

    def pick(self, data: st.DataObject) -> vicinal.Collection:
        """One of the handles."""
        return self.things[data.draw(st.integers(0, len(self.things) - 1), "handle")]

    # --- writing ---

    @rule(
        data=st.data(),
        mode=st.sampled_from(["add", "upsert", "update"]),
        batch=batches(),
        merge=st.booleans(),
    )
    def write(self, data: st.DataObject, mode: str, batch: dict[str, Any], merge: bool) -> None:
        kwargs = {} if mode == "add" else {"merge_metadata": merge}
        info = getattr(self.pick(data), mode)(**batch, **kwargs)
        assert (info.added, info.updated, info.kept) == self.model.write(mode, batch, merge)

    @rule(data=st.data(), batch=batches(embeddings=False), merge=st.booleans())
    def update_metadata(self, data: st.DataObject, batch: dict[str, Any], merge: bool) -> None:
        self.pick(data).update(**batch, merge_metadata=merge)
        self.model.write("update", batch, merge)

    @rule(
        data=st.data(),
        ids=st.one_of(st.none(), st.lists(IDS, max_size=2)),
        where=WHERES,
        limit=st.integers(0, 2),
    )
    def delete(self, data: st.DataObject, ids: Any, where: Any, limit: int) -> None:
        if ids is None and where is None:
            where = {"#id": "a"}
        expected = self.model.select(ids, where, None)[:limit]
        assert self.pick(data).delete(ids=ids, where=where, limit=limit) == {"deleted": len(expected)}
        for id in expected:
            del self.model.records[id]

    # --- reading ---

    @rule(
        data=st.data(),
        ids=SOME_IDS,
        where=WHERES,
        where_document=WHERE_DOCUMENTS,
        limit=st.one_of(st.none(), st.integers(0, 3)),
        offset=st.one_of(st.none(), st.integers(0, 3)),
    )
    def get(
        self, data: st.DataObject, ids: Any, where: Any, where_document: Any, limit: Any, offset: Any
    ) -> None:
        found = self.pick(data).get(
            ids=ids,
            where=where,
            where_document=where_document,
            limit=limit,
            offset=offset,
            include=["embeddings", "documents", "metadatas"],
        )
        assert found["ids"] == self.model.select(ids, where, where_document)[offset or 0 :][:limit]
        self._compare(found["ids"], found["embeddings"], found["documents"], found["metadatas"])

    def _compare(self, ids: list[str], vectors: Any, documents: Any, metadatas: Any) -> None:
        for id, vector, document, metadata in zip(ids, vectors.tolist(), documents, metadatas):
            expected = self.model.records[id]
            assert (vector, document) == (expected[0], expected[1])
            assert same_metadata(metadata, expected[2]), (metadata, expected[2])

    @rule(
        data=st.data(),
        query=VECTORS,
        k=st.integers(1, 7),
        ids=SOME_IDS,
        where=WHERES,
        where_document=WHERE_DOCUMENTS,
    )
    def query(
        self, data: st.DataObject, query: Any, k: int, ids: Any, where: Any, where_document: Any
    ) -> None:
        include = ["embeddings", "documents", "metadatas", "distances"]
        asked = {"n_results": k, "ids": ids, "where": where, "where_document": where_document}
        found = self.pick(data).query(query_embeddings=query, include=include, **asked)
        matching = self.model.select(ids, where, where_document)
        vectors = np.array([self.model.records[id][0] for id in matching]).reshape(-1, DIMENSION)
        assert np.allclose(found["distances"][0], nearest(query, vectors, k, self.space)[1], atol=1e-12)
        assert len(set(found["ids"][0])) == len(found["ids"][0])
        assert set(found["ids"][0]) <= set(matching)
        if found["ids"][0]:
            self._compare(*(found[name][0] for name in ("ids", "embeddings", "documents", "metadatas")))
            own = np.array([self.model.records[id][0] for id in found["ids"][0]])
            order, distances = nearest(query, own, k, self.space)
            assert np.allclose(
                found["distances"][0], [d for _, d in sorted(zip(order, distances))], atol=1e-12
            )

    # --- opening and looking after ---

    @rule(data=st.data(), which=st.integers(0, 1), event=st.sampled_from(EVENTS))
    def look_after(self, data: st.DataObject, which: int, event: str) -> None:
        """All of this is rare beside reading and writing, so it shares one rule."""
        if self.persistent or event in EVENTS[:4]:
            getattr(self, event)(which % len(self.clients))

    def compact(self, which: int) -> None:
        self.things[which].compact()

    def wait_for_index(self, which: int) -> None:
        wait_for_index(self.things[which])

    def begin_anew(self, which: int) -> None:
        self.clients[which].delete_collection("things")
        for handle in self.things:
            with pytest.raises(NotFoundError):
                handle.get()
        self.create(self.space)
        self.model = Model()

    def write_the_wrong_dimension(self, which: int) -> None:
        if self.model.records:
            with pytest.raises(InvalidDimensionError):
                self.things[which].upsert(ids=["a", "new"], embeddings=[[1, 2, 3], [4, 5, 6]])

    def reopen(self, which: int) -> None:
        self.clients[which].close()
        self.clients[which] = self._open()
        self.things[which] = self.clients[which].get_collection("things")

    def open_another_client(self, which: int) -> None:
        if len(self.clients) == 1:
            self.clients.append(self._open())
            self.things.append(self.clients[1].get_collection("things"))

    def lose_the_checkpoints(self, which: int) -> None:
        self.lost = True
        for entry in Path(self.directory.name).glob("collections/*/checkpoints/*"):
            with suppress(PermissionError):  # on Windows, where somebody reads or writes it
                entry.unlink(missing_ok=True)

    @invariant()
    def counts_agree(self) -> None:
        for handle in getattr(self, "things", []):
            assert handle.count() == len(self.model.records)

    def teardown(self) -> None:
        findings = [finding for client in self.clients for finding in check(client)]
        if self.lost:  # perhaps while the other client was writing one: then it is made anew, as `check` says
            findings = [finding for finding in findings if "will be made anew" not in finding]
        for client in self.clients:
            client.close()
        self.directory.cleanup()
        assert findings == []


class PersistentMachine(Machine):
    persistent = True


MACHINES = [Machine, PersistentMachine]


@pytest.fixture(autouse=True)
def tiny_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs for collections of five records, and a log that readers fall off."""
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 32)
    monkeypatch.setattr(planner, "_WALK_S_PER_CANDIDATE", 0.0)
    monkeypatch.setattr(changes, "KEPT", 4)


def search(machine: type[Machine], examples: int, steps: int, **settings: Any) -> None:
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            **settings,
        ),
    )


@pytest.mark.parametrize("machine", MACHINES, ids=["ephemeral", "persistent"])
def test_a_collection_is_a_dictionary(machine: type[Machine]) -> None:
    search(machine, examples=100, steps=40, derandomize=True)


@pytest.mark.slow
@pytest.mark.skipif(not SOAK_S, reason="set VICINAL_SOAK_S to the seconds to search for")
@pytest.mark.parametrize("machine", MACHINES, ids=["ephemeral", "persistent"])
def test_a_collection_is_a_dictionary_for_long(
    machine: type[Machine], capsys: pytest.CaptureFixture[str]
) -> None:
    end, histories = time.monotonic() + SOAK_S / len(MACHINES), 0
    while time.monotonic() < end:
        search(machine, examples=50, steps=60, derandomize=False)
        histories += 50
    with capsys.disabled():
        print(f"\n{machine.__name__}: {histories} histories of up to 60 steps")


def test_the_model_itself_follows_the_rules_that_are_documented() -> None:
    model: Callable[..., Any] = (m := Model()).write
    first = {"ids": ["a", "b"], "embeddings": [[1], [2]], "metadatas": [{"n": 1, "s": "x"}, None]}
    assert model("add", first, True) == (2, 0, 0)
    assert model("add", first, True) == (0, 0, 2)
    changed = {"ids": ["a", "c"], "embeddings": [[9], [3]], "metadatas": [{"n": None, "l": []}, {"n": None}]}
    assert model("upsert", changed, True) == (1, 1, 0)
    assert m.records == {"a": [[9], None, {"s": "x", "l": []}], "b": [[2], None, None], "c": [[3], None, {}]}
    assert m.select(None, {"s": {"$ne": "x"}}, None) == ["b", "c"]
