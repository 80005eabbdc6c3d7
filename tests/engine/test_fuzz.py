"""Whatever text comes in comes out again, and whatever lies in the directory, only our errors are raised.

Histories of random records and filters are compared with a dictionary and `vicinal.testing.matches`.
Damaged directories are opened and used by another process (this file, run as a program), so that a hang
or a crash of the interpreter is a failed test and not the end of all tests.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import vicinal
from vicinal._index import planner
from vicinal.errors import InvalidArgumentError, VicinalError
from vicinal.testing import check, dump, matches, nearest, wait_for_index

# --- histories ---------------------------------------------------------------------------------

ODD = ["a", "a\0b", "\0", "'; DROP TABLE records; --", '"', "%", "_%", "\\", "é", "e\u0301", "🦉", "\u202e"]
ODD += [" ", "\n", "x" * 1000, "\ufeff", "None", "0", "{}", "?1", ":id"]
TEXTS = st.one_of(st.sampled_from(ODD), st.text(max_size=12))
IDS = st.one_of(st.sampled_from(ODD), st.text(min_size=1, max_size=8))
KEYS = st.one_of(
    st.sampled_from(["n", "a.b", "a", "é", "'", '"', "%", "\0", " ", "#type", "value"]), st.text(max_size=4)
)
SCALARS = st.one_of(
    st.integers(-3, 3),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=False),
    st.booleans(),
    TEXTS,
    st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(lambda when: when.replace(fold=0)),
    st.dates(date(1990, 1, 1), date(2040, 1, 1)),
)
VALUES = st.recursive(
    st.one_of(st.none(), SCALARS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=2)),
    max_leaves=4,
)
METADATA = st.one_of(st.none(), st.dictionaries(KEYS, VALUES, max_size=4))
VECTORS = st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3)
RECORDS = st.tuples(VECTORS, st.one_of(st.none(), TEXTS), METADATA)
BATCHES = st.dictionaries(IDS, RECORDS, min_size=1, max_size=5)

COMPARISONS = st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$contains", "$not_contains"])
LEAVES = st.one_of(
    st.builds(lambda key, value: {key: value}, KEYS, SCALARS),
    st.builds(lambda key, name, value: {key: {name: value}}, KEYS, COMPARISONS, VALUES),
    st.builds(
        lambda key, name, values: {key: {name: values}},
        KEYS,
        st.sampled_from(["$in", "$nin", "$any", "$all", "$between"]),
        st.lists(SCALARS, max_size=3),
    ),
    st.builds(
        lambda key, name, text: {key: {name: text}},
        KEYS,
        st.sampled_from(["$like", "$ilike", "$startswith"]),
        st.text(alphabet="a%_\\'é🦉", max_size=5),
    ),
    st.builds(
        lambda key, name, flag: {key: {name: flag}},
        KEYS,
        st.sampled_from(["$exists", "$empty"]),
        st.booleans(),
    ),
    st.builds(lambda ids: {"#id": {"$in": ids}}, st.lists(IDS, min_size=1, max_size=3)),
    st.builds(lambda text: {"#document": {"$contains": text}}, TEXTS),
)
WHERES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda part: {"$not": part}, inner),
        st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["$and", "$or"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
    ),
    max_leaves=3,
)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["add", "upsert", "update"]), BATCHES),
    st.tuples(st.just("delete"), st.lists(IDS, max_size=3)),
    st.tuples(st.just("where"), WHERES),
    st.tuples(st.just("query"), VECTORS, WHERES, st.integers(1, 5)),
    st.tuples(st.just("reopen")),
)


def shown(value: Any) -> Any:
    """Equal only for equal values of equal types, whatever the order of keys."""
    if isinstance(value, dict):
        return sorted((key, shown(item)) for key, item in value.items())
    return [shown(item) for item in value] if isinstance(value, list) else repr(value)


class History:
    """A collection on disk beside a dictionary: id → (vector, document, metadata)."""

    def __init__(self, path: Path) -> None:
        self.path, self.records = path, dict[str, Any]()
        self.client = vicinal.PersistentClient(path)
        self.things = self.client.create_collection("things", embedding_function=None)

    def step(self, name: str, *arguments: Any) -> None:
        if name in ("add", "upsert", "update"):
            self.write(name, *arguments)
        else:
            getattr(self, name)(*arguments)

    def write(self, mode: str, batch: dict[str, Any]) -> None:
        vectors, documents, metadatas = (list(column) for column in zip(*batch.values()))
        arguments = {"ids": list(batch), "embeddings": vectors, "documents": documents}
        arguments["metadatas"] = metadatas
        if mode != "add":
            arguments["merge_metadata"] = False
        refused = [key for _, _, m in batch.values() for key in m or () if not key or key[0] in "#$"]
        if refused:
            with pytest.raises(InvalidArgumentError):
                getattr(self.things, mode)(**arguments)
            return
        getattr(self.things, mode)(**arguments)
        for id, (vector, document, metadata) in batch.items():
            if {"add": id not in self.records, "upsert": True, "update": id in self.records}[mode]:
                before = self.records.get(id, (None, None, None))
                kept = before[1] if document is None else document
                self.records[id] = (vector, kept, metadata)

    def delete(self, ids: list[str]) -> None:
        expected = set(ids) & set(self.records)
        assert self.things.delete(ids=ids) == {"deleted": len(expected)}
        for id in expected:
            del self.records[id]

    def where(self, where: Any) -> None:
        expected = self.select(where)
        if expected is None:
            with pytest.raises(InvalidArgumentError):
                self.things.get(where=where)
        else:
            assert self.things.get(where=where)["ids"] == expected

    def query(self, vector: list[float], where: Any, k: int) -> None:
        expected = self.select(where)
        if expected is None:
            return
        found = self.things.query(query_embeddings=vector, where=where, n_results=k)
        vectors = np.array([self.records[id][0] for id in expected], dtype=np.float32).reshape(-1, 3)
        assert np.allclose(found["distances"][0], nearest(vector, vectors, k)[1])
        assert set(found["ids"][0]) <= set(expected)

    def select(self, where: Any) -> list[str] | None:
        """The ids that a filter selects, by the reference; None when it is no filter."""
        try:
            matches({}, where=where)
        except InvalidArgumentError:
            return None
        return [id for id, (_, d, m) in self.records.items() if matches(m, d, id=id, where=where)]

    def reopen(self) -> None:
        self.client.close()
        self.client = vicinal.PersistentClient(self.path)
        self.things = self.client.get_collection("things")

    def end(self) -> None:
        """Everything is there, bit for bit, and sound; also after opening it again."""
        self.reopen()
        found = {r["id"]: (r["embeddings"], r["documents"], r["metadatas"]) for r in dump(self.things)}
        assert list(found) == list(self.records)
        assert shown([*map(list, found.values())]) == shown([*map(list, self.records.values())])
        assert check(self.client) == []


def run_history(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        history = History(Path(directory))
        try:
            for step in steps:
                history.step(*step)
            history.end()
        finally:
            history.client.close()


def fuzz(examples: int, steps: int = 8, **settings: Any) -> None:
    """Run random histories; the same ones every time with `derandomize=True`."""

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        **settings,
    )
    @hypothesis.given(st.lists(STEPS, min_size=2, max_size=steps))
    def run(steps: list[Any]) -> None:
        run_history(steps)

    run()


def test_any_text_and_any_filter_is_answered_as_a_dictionary_would() -> None:
    fuzz(150, derandomize=True)


@pytest.mark.slow
def test_any_text_and_any_filter_is_answered_as_a_dictionary_would_for_long() -> None:
    fuzz(1500, steps=20, derandomize=True)


@pytest.mark.parametrize("id", [*ODD, "y" * (1 << 20)], ids=lambda value: ascii(value[:12]))
def test_any_id_is_found_again(id: str) -> None:
    vector = [1.0, 2.0, 3.0]
    others = {other: (vector, None, None) for other in ("other", id + "\0", id + "%") if other != id}
    steps = [("add", {id: (vector, id, {id: id} if id.strip("#$") else None), **others}), ("reopen",)]
    run_history([*steps, ("where", {"#id": id}), ("upsert", {id: (vector, None, None)}), ("delete", [id])])


# --- damaged directories -------------------------------------------------------------------------

VICTIMS = ["catalog.sqlite3", "records.sqlite3", "vectors-0.f32", "graph.json", "graph-"]
TIME_LIMIT_S = 120.0


def make_template(path: Path) -> list[dict[str, Any]]:
    """A directory with every kind of file in it; returns what its collection holds."""
    rng = np.random.default_rng(1)
    with vicinal.PersistentClient(path) as client:
        things = client.create_collection("things", embedding_function=None, metadata={"kept": True})
        for start in range(0, 90, 30):
            things.add(
                ids=[f"id {i}" for i in range(start, start + 30)],
                embeddings=rng.standard_normal((30, 32), dtype=np.float32),
                documents=[f"text {i}" * 5 for i in range(30)],
                metadatas=[{"n": i, "when": date(2026, 1, 1 + i % 28)} for i in range(30)],
            )
        things.delete(ids=["id 7"])
        things.update(ids=["id 8"], metadatas=[{"altered": True}])
        wait_for_index(things)
        return dump(things)


def damage(path: Path, rng: random.Random) -> str:
    """Do one random harm to one random file; returns what was done."""
    victim = rng.choice(VICTIMS)
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name.startswith(victim))
    file = rng.choice(files)
    data = bytearray(file.read_bytes())
    used = min(len(data), 90 * 32 * 4) if victim == "vectors-0.f32" else len(data)
    where, length = rng.randrange(used), rng.choice([1, 4, 100, 4096])
    kind = rng.choice(["flip", "flip", "flip", "zeros", "noise", "cut", "empty", "longer", "gone", "shift"])
    if kind == "flip":
        data[where] ^= 1 << rng.randrange(8)
    elif kind == "zeros":
        data[where : where + length] = bytes(len(data[where : where + length]))
    elif kind == "noise":
        data[where : where + length] = rng.randbytes(len(data[where : where + length]))
    elif kind in ("cut", "empty"):
        del data[where if kind == "cut" else 0 :]
    elif kind == "longer":
        data += rng.randbytes(length)
    elif kind == "shift":
        del data[where : where + length]
    if kind == "gone":
        file.unlink()
    else:
        file.write_bytes(data)
    return f"{kind} at {where} (+{length}) of {file.name}"


def use(path: Path, whole: list[dict[str, Any]]) -> str:
    """Do with a damaged directory what a program would; returns how it ended. Only our errors pass."""
    ends = []
    for act in (_look, _write, _repair, _look):
        try:
            with vicinal.PersistentClient(path) as client:
                ends.append(act(client, whole if act is _look and not ends else None))
        except VicinalError as error:
            str(error)
            ends.append(type(error).__name__)
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            ours = [f"{Path(f.filename).name}:{f.name}" for f in traceback.extract_tb(error.__traceback__)]
            ends.append(f"FOREIGN {act.__name__} {error!r:.150} in {' '.join(ours[1:])} line {at.lineno}")
    return ", ".join(ends)


def _look(client: Any, whole: list[dict[str, Any]] | None) -> str:
    findings = client.check()
    answers = None
    for things in client.list_collections():
        try:
            answers = dump(things)
            things.get(where={"n": {"$gt": 3}})
            things.get(where_document={"$contains": "1"})
            things.query(query_embeddings=[0.5] * 32, n_results=3)
            wait_for_index(things)
        except VicinalError:
            answers = None
    if whole is not None and not findings:
        assert answers == whole, "damage that check() does not report changed an answer"
    return "damaged" if findings else "sound"


def _write(client: Any, _: Any) -> str:
    things = client.get_collection("things")
    things.upsert(ids=["id 1", "new"], embeddings=np.ones((2, 32)), metadatas=[{"n": 1}, {"n": 2}])
    things.delete(where={"n": 5})
    things.compact()
    return "written"


def _repair(client: Any, _: Any) -> str:
    return "repaired" if client.repair() else "nothing to repair"


def main(first: int, count: int) -> None:
    """Damage and use a directory for each seed; one JSON line each: seed, harm, end."""
    planner.GRAPH_BYTES_MIN = 512
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        whole = make_template(root / "template")
        for seed in range(first, first + count):
            shutil.copytree(root / "template", root / "copy")
            harm = damage(root / "copy", random.Random(seed))
            print(json.dumps([seed, harm]), flush=True)
            end = use(root / "copy", whole)
            print(json.dumps([seed, harm, end]), flush=True)
            shutil.rmtree(root / "copy")


def run_damaged(first: int, count: int) -> Iterator[tuple[int, str, str]]:
    """(seed, harm, end) of each damaged directory; a crash, hang or foreign error is an AssertionError."""
    process = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__, str(first), str(count)],
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S + count,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    lines = process.stdout.splitlines()
    last = lines[-1] if lines else "not started"
    assert process.returncode == 0, f"{last} ended with {process.returncode}:\n{process.stderr[-3000:]}"
    for line in lines:
        entry = json.loads(line)
        if len(entry) == 3:
            yield entry[0], entry[1], entry[2]


def foreign(lives: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Those in which something else than one of our errors was raised."""
    return [life for life in lives if "FOREIGN" in life[2]]


def test_a_damaged_directory_raises_only_our_errors() -> None:
    lives = list(run_damaged(0, 60))
    assert len(lives) == 60
    assert foreign(lives) == []
    assert any("damaged" in end for *_, end in lives)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 3000, 500))
def test_many_damaged_directories_raise_only_our_errors(first: int) -> None:
    lives = list(run_damaged(first, 500))
    assert len(lives) == 500
    assert foreign(lives) == []


@pytest.mark.parametrize("nth", range(2), ids=["table", "index"])
def test_damage_to_the_catalog_deletes_no_collection(tmp_path: Path, nth: int) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=["a"], embeddings=[[1, 2]])
    place = tmp_path / "catalog.sqlite3"
    data = bytearray(place.read_bytes())
    parts = data.split(str(things.id).encode())
    data[sum(map(len, parts[: nth + 1])) + 36 * nth] ^= 1
    place.write_bytes(data)
    with vicinal.PersistentClient(tmp_path) as client:
        assert check(client) != []
    assert (tmp_path / "collections" / str(things.id) / "records.sqlite3").exists()


if __name__ == "__main__":
    started = time.monotonic()
    main(int(sys.argv[1]), int(sys.argv[2]))
    print(f"{time.monotonic() - started:.1f} s", file=sys.stderr)
