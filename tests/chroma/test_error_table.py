"""The table of errors in docs/chroma-compatibility.md is what the two engines raise.

`UPDATE_SNAPSHOTS=1` writes it anew. Where chromadb is not installed, Vicinal's half is compared.
"""

from __future__ import annotations

import importlib.util
import os
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

import vicinal
from vicinal.errors import VicinalError

PAGE = Path(__file__).parents[2] / "docs" / "chroma-compatibility.md"
BEGIN, END = "<!-- errors: tests/chroma/test_error_table.py -->\n", "<!-- /errors -->\n"
CALLS = (
    'client.create_collection("ab")',
    'client.create_collection("a..b")',
    'client.create_collection("1.2.3.4")',
    "client.create_collection(5)",
    'client.create_collection("taken")',
    'client.create_collection("new", metadata=5)',
    'client.create_collection("new", metadata={"hnsw:space": "round"})',
    'client.create_collection("new", configuration={"hnsw": {"space": "round"}})',
    'client.create_collection("new", configuration={"hnsw": {"bogus": 1}})',
    'client.create_collection("new", configuration={"hnsw": {"ef_search": "x"}})',
    'client.create_collection("new", embedding_function=len)',
    'client.get_collection("absent")',
    "client.get_collection(5)",
    'client.delete_collection("absent")',
    "client.list_collections(limit=-1)",
    "client.list_collections(offset=-1)",
    'client.set_tenant("absent")',
    'client.set_database("absent")',
    "client.reset()",
    'taken.modify(name="ab")',
    'taken.modify(name="other")',
    'taken.modify(metadata={"hnsw:space": "ip"})',
    'taken.modify(configuration={"hnsw": {"space": "ip"}})',
    'taken.add(ids="c")',
    'taken.add(ids=["c", "c"], embeddings=[[1, 0], [0, 1]])',
    'taken.add(ids=[""], embeddings=[[1, 0]])',
    "taken.add(ids=[5], embeddings=[[1, 0]])",
    "taken.add(ids=5, embeddings=[[1, 0]])",
    'taken.add(ids=["c", "d"], embeddings=[[1, 0]])',
    'taken.add(ids=["c"], embeddings=[[1, 0, 0]])',
    'taken.add(ids=["c", "d"], embeddings=[[1, 0], [1]])',
    'taken.add(ids=["c"], embeddings=[[]])',
    'taken.add(ids=["c"], embeddings=[["x", "y"]])',
    'taken.add(ids=["c"], embeddings=[[1, float("nan")]])',
    'taken.add(ids=["c"], embeddings=[[1, float("inf")]])',
    'taken.add(ids=["c"], embeddings=[[1, 0]], documents=[5])',
    'taken.add(ids=["c"], embeddings=[[1, 0]], documents=["x", "y"])',
    'taken.add(ids=["c"], embeddings=[[1, 0]], metadatas=["x"])',
    'taken.add(ids=["c"], embeddings=[[1, 0]], metadatas=[{5: "x"}])',
    'taken.add(ids=["c"], embeddings=[[1, 0]], metadatas=[{"": 1}])',
    'taken.add(ids=["c"], embeddings=[[1, 0]], metadatas=[{"#k": 1}])',
    'taken.add(ids=["c"], embeddings=[[1, 0]], metadatas=[{"k": object()}])',
    'taken.add(ids=["c"], uris=["x"])',
    'taken.update(ids=["a"], embeddings=[[1, 0, 0]])',
    'taken.upsert(ids=["a", "a"], embeddings=[[1, 0], [0, 1]])',
    "taken.get(limit=-1)",
    "taken.get(offset=-1)",
    "taken.get(ids=[5])",
    'taken.get(include=["distances"])',
    'taken.get(include=["data"])',
    'taken.get(include=["bogus"])',
    "taken.get(where={})",
    'taken.get(where="k")',
    'taken.get(where={"k": 1, "l": 2})',
    'taken.get(where={"k": None})',
    'taken.get(where={"k": {}})',
    'taken.get(where={"k": {"$gt": 1, "$lt": 3}})',
    'taken.get(where={"k": {"$bogus": 1}})',
    'taken.get(where={"k": {"$gt": True}})',
    'taken.get(where={"k": {"$in": []}})',
    'taken.get(where={"k": {"$in": [1, "a"]}})',
    'taken.get(where={"k": {"$in": 1}})',
    'taken.get(where={"$and": []})',
    'taken.get(where={"$or": [{"k": 1}]})',
    'taken.get(where={"$gt": 1})',
    "taken.get(where_document={})",
    'taken.get(where_document={"$contains": ""})',
    'taken.get(where_document={"$contains": 5})',
    'taken.get(where_document={"$bogus": "x"})',
    'taken.get(where_document={"$regex": "("})',
    "taken.query()",
    "taken.query(query_embeddings=[[1, 0, 0]])",
    "taken.query(query_embeddings=[[1, 0]], n_results=0)",
    'taken.query(query_embeddings=[[1, 0]], n_results="1")',
    'taken.query(query_embeddings=[[1, 0]], where={"k": {"$bogus": 1}})',
    'taken.query(query_uris=["x"])',
    "taken.delete()",
    "taken.delete(where={})",
    "taken.delete(ids=[5])",
    'taken.delete(where={"k": 1}, limit=-1)',
    "gone.count()",
    'gone.add(ids=["c"], embeddings=[[1, 0]])',
    "gone.get()",
    "gone.query(query_embeddings=[[1, 0]])",
    'gone.delete(ids=["a"])',
)
HAVE_CHROMA = importlib.util.find_spec("chromadb") is not None


def raised(chroma: Any) -> list[str]:
    """What each call raises: the class's name, or "–"."""
    client = chroma.EphemeralClient()
    for name in ("taken", "other", "gone", "new"):
        if name in [one.name for one in client.list_collections()]:
            client.delete_collection(name)
    places = {
        name: client.create_collection(name, embedding_function=None) for name in ("taken", "other", "gone")
    }
    places["taken"].add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"k": 1}, {"k": 2}])
    client.delete_collection("gone")
    found = []
    for call in CALLS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                eval(call, {"client": client, **places})
            found.append("–")
        except BaseException as error:  # a PanicException is no Exception
            found.append(type(error).__name__)
        if "new" in [one.name for one in client.list_collections()]:
            client.delete_collection("new")
    for name in ("taken", "other"):
        client.delete_collection(name)
    client.close()
    return found


def rows() -> dict[str, list[str]]:
    """Call → [Chroma's class, ours], as the page says."""
    table = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    found = re.findall(r"^\| `(.*)` \| (\S+) \| (\S+) \|$", table, re.MULTILINE)
    return {call: classes for call, *classes in found}


def test_the_table_is_what_is_raised() -> None:
    ours = raised(vicinal)
    theirs = raised(importlib.import_module("chromadb")) if HAVE_CHROMA else None
    if os.environ.get("UPDATE_SNAPSHOTS"):
        kept = rows()
        theirs = theirs or [kept[call][0] for call in CALLS]
        lines = [f"| `{call}` | {one} | {other} |" for call, one, other in zip(CALLS, theirs, ours)]
        table = "| | Chroma 1.5.9 | Vicinal |\n|---|---|---|\n" + "\n".join(lines) + "\n"
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(before + BEGIN + "\n" + table + "\n" + END + rest.split(END)[1])
    said = rows()
    assert tuple(said) == CALLS
    assert [classes[1] for classes in said.values()] == ours
    if theirs is not None:
        assert [classes[0] for classes in said.values()] == theirs


def test_what_vicinal_raises_is_its_own() -> None:
    names = {cls.__name__ for cls in [VicinalError, *_below(VicinalError)]}
    assert {classes[1] for classes in rows().values()} <= names | {"–"}


def _below(cls: type) -> list[type]:
    return [one for child in cls.__subclasses__() for one in (child, *_below(child))]


@pytest.mark.skipif(not HAVE_CHROMA, reason="chromadb is not installed")
def test_whoever_catches_chromas_error_catches_ours() -> None:
    from chromadb import errors as chromas

    accidents = {"AttributeError", "IndexError", "OverflowError", "PanicException", "–"}
    missed = []
    for call, (theirs, ours) in rows().items():
        if theirs in accidents or ours == "–":
            continue
        wanted = getattr(vicinal.errors, theirs) if hasattr(chromas, theirs) else __builtins__[theirs]
        if not issubclass(getattr(vicinal.errors, ours), wanted):
            missed.append((call, theirs, ours))
    assert missed == []
