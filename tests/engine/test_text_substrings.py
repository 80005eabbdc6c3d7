"""A filter on document text selects what a look at every document would, index or no index."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vicinal

TEXTS = st.lists(st.sampled_from(["copy_file2", "Ants", "ant", "queen", "é", " ", ".", "ſ"]), max_size=6).map(
    "".join
)
SUBSTRINGS = st.sampled_from(["file2", "ants", "Ants", "queen", "tq", "een.", "zebra", "é", "ntant"])
PATTERNS = st.sampled_from(
    ["file[0-9]", "(?i)ANTS", "ant(queen)?s?", "^copy", "queen$", "ants|queen", "q.een|file2", "zebra", "."]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), st.integers(0, 7), TEXTS),
        st.tuples(st.just("alter"), st.integers(0, 7), TEXTS),
        st.tuples(st.just("delete"), st.integers(0, 7)),
        st.tuples(st.sampled_from(["compact", "cover", "reopen"])),
    ),
    max_size=10,
).map(lambda steps: [*FIRST, *steps])
FIRST = [*(("upsert", i, text) for i, text in enumerate(["Ants queen", "copy_file2", "ant"])), ("cover",)]


def cover(client: vicinal.Client, collection: vicinal.Collection) -> None:
    """Bring the signatures to the present, as the background does in its time."""
    with client._backend._opened.using(collection.id) as live, live.read() as snapshot:
        live.words.signatures(snapshot.tx, snapshot.view, again=False)
        while live.words.refresh(snapshot.tx, snapshot.view):
            pass
        if snapshot.rows:  # otherwise the index would have no say in what follows
            known = live.words.signatures(snapshot.tx, snapshot.view, again=False)
            assert known is not None
            assert (known[0].rows, len(known[1])) == (snapshot.rows, 0)


@settings(max_examples=100)
@given(STEPS, SUBSTRINGS, PATTERNS, st.booleans())
def test_any_history_selects_as_a_scan(steps, substring, pattern, covered):
    client = vicinal.EphemeralClient()
    with client:
        run(client, steps, substring, pattern, covered)


def test_of_a_small_collection_texts_are_read_and_nobody_is_woken_for_that(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=["a", "b"], embeddings=[[1], [2]], documents=["an ant", "a bee"])
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.get_collection("things")
        assert things.get(where_document={"$contains": "ant"})["ids"] == ["a"]
        assert client._backend._opened.indexer._thread is None


@settings(max_examples=10)
@given(STEPS, SUBSTRINGS, PATTERNS, st.booleans())
def test_any_history_on_disk_selects_as_a_scan(steps, substring, pattern, covered):
    path = tempfile.mkdtemp()
    try:
        run(vicinal.PersistentClient(path), steps, substring, pattern, covered, Path(path))
    finally:
        shutil.rmtree(path)


def run(
    client: Any, steps: list[Any], substring: str, pattern: str, covered: bool, path: Path | None = None
) -> None:
    collection = client.create_collection("things", embedding_function=None)
    truth: dict[str, str] = {}
    for kind, *rest in steps:
        id = f"r{rest[0]}" if rest else ""
        if kind == "upsert":
            collection.upsert(id, [[float(len(rest[1])), 1.0]], documents=[rest[1]])
            truth[id] = rest[1]
        elif kind == "alter" and id in truth:
            collection.update(
                id, collection.get(id, include=["embeddings"])["embeddings"], documents=[rest[1]]
            )
            truth[id] = rest[1]
        elif kind == "delete":
            collection.delete([id])
            truth.pop(id, None)
        elif kind == "compact":
            collection.compact()
        elif kind == "cover":
            cover(client, collection)
        elif kind == "reopen" and path is not None:
            client.close()
            client = vicinal.PersistentClient(path)
            collection = client.get_collection("things")
    if covered:
        cover(client, collection)
    containing = {id for id, text in truth.items() if substring in text}
    matching = {id for id, text in truth.items() if re.search(pattern, text)}
    for where, expected in (
        ({"$contains": substring}, containing),
        ({"$not_contains": substring}, truth.keys() - containing),
        ({"$regex": pattern}, matching),
        ({"$not_regex": pattern}, truth.keys() - matching),
        ({"$and": [{"$contains": substring}, {"$regex": pattern}]}, containing & matching),
        ({"$or": [{"$contains": substring}, {"$regex": pattern}]}, containing | matching),
    ):
        assert set(collection.get(where_document=where)["ids"]) == expected, where
    client.close()


def test_after_a_write_only_what_it_wrote_is_read(client, collection, calls_of):
    """Though signatures are a change behind: else who adds and asks in turns would have all texts read."""
    ids = [f"r{i}" for i in range(2_000)]
    collection.add(ids, [[float(i)] for i in range(2_000)], documents=[f"text {id}" for id in ids])
    cover(client, collection)
    collection.add(ids=["new"], embeddings=[[1]], documents=["a zebra"])
    collection.update(ids=["r7"], embeddings=[[7]], documents=["two zebras"])
    found, calls = calls_of(lambda: collection.get(where_document={"$contains": "zebra"})["ids"])
    assert (found, calls < 1_500) == (["r7", "new"], True)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*a){20}"])
def test_no_pattern_takes_for_ever(collection, pattern):
    collection.add(ids=["x"], embeddings=[[1]], documents=["a" * 3_000 + "c"])
    assert collection.get(where_document={"$regex": pattern})["ids"] in ([], ["x"])
