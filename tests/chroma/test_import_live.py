"""What chromadb holds after any history is what `vicinal import` brings in."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal._chroma.move import import_directory

chromadb = pytest.importorskip("chromadb")

IDS = [f"id {n}" for n in range(60)]


def metadata(rng: random.Random) -> dict[str, Any]:
    values = [rng.randrange(9), rng.random(), rng.random() < 0.5, "x" * rng.randrange(3), ["a", "b"], [1.5]]
    return {f"k{rng.randrange(5)}": rng.choice(values) for _ in range(3)}


def step(rng: random.Random, collection: Any, dimension: int) -> None:
    """One random write."""
    ids = rng.sample(IDS, rng.randrange(1, 12))
    columns: dict[str, Any] = {
        "embeddings": [[rng.gauss(0, 3) for _ in range(dimension)] for _ in ids],
        "metadatas": [metadata(rng) for _ in ids],
        "documents": [f"text {rng.random()}" for _ in ids],
        "uris": None if rng.random() < 0.5 else [f"file:///{id}" for id in ids],
    }
    match rng.randrange(6):
        case 0 | 1:
            collection.add(ids=ids, **columns)
        case 2:
            collection.upsert(ids=ids, **columns)
        case 3:
            collection.update(ids=ids, **columns)
        case 4:
            collection.update(ids=ids, metadatas=[{"k0": None, "k1": "y"} for _ in ids])
        case _:
            collection.delete(ids=ids)


@pytest.mark.parametrize("seed", range(4))
def test_a_random_history_is_brought_in_whole(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    space = ("l2", "cosine", "ip", "l2")[seed]
    graph = {"space": space, "sync_threshold": (5, 40, 1000, 100)[seed], "batch_size": 4}
    with chromadb.PersistentClient(tmp_path / "chroma") as client:
        collection = client.create_collection(
            "things", configuration={"hnsw": graph}, embedding_function=None
        )
        for _ in range(60):
            step(rng, collection, 6)
        said = collection.get(include=["embeddings", "documents", "metadatas", "uris"])
        client.clear_system_cache()
    import_directory(tmp_path / "chroma", tmp_path / "vicinal")
    with vicinal.PersistentClient(tmp_path / "vicinal") as client:
        got = client.get_collection("things").get(include=["embeddings", "documents", "metadatas", "uris"])
        assert client.check() == []
    assert said["ids"] == got["ids"]
    assert said["documents"] == got["documents"]
    assert said["uris"] == got["uris"]
    assert [one or None for one in said["metadatas"]] == [one or None for one in got["metadatas"]]
    np.testing.assert_allclose(said["embeddings"], got["embeddings"], rtol=1e-6)


def test_a_vector_whose_length_chroma_could_not_hold_is_left_out_and_named(tmp_path: Path) -> None:
    graph = {"space": "cosine", "sync_threshold": 2, "batch_size": 2}
    with chromadb.PersistentClient(tmp_path / "chroma") as client:
        things = client.create_collection("things", configuration={"hnsw": graph}, embedding_function=None)
        things.add(ids=["long", "short", "zero"], embeddings=[[3e38, 0], [3, 4], [0, 0]])
    [moved] = import_directory(tmp_path / "chroma", tmp_path / "vicinal")
    assert (moved.records, list(moved.refused)) == (2, ["long"])


@pytest.mark.slow
def test_twenty_thousand_records_are_brought_in_whole(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(20_000, 32)).astype(np.float32)
    with chromadb.PersistentClient(tmp_path / "chroma") as client:
        collection = client.create_collection("things", embedding_function=None)
        for start in range(0, len(vectors), 5_000):
            rows = range(start, start + 5_000)
            collection.add(
                ids=[str(row) for row in rows],
                embeddings=vectors[start : start + 5_000],
                metadatas=[{"row": row} for row in rows],
            )
    import_directory(tmp_path / "chroma", tmp_path / "vicinal")
    with vicinal.PersistentClient(tmp_path / "vicinal") as client:
        got = client.get_collection("things").get(include=["embeddings", "metadatas"])
        assert [{"row": row} for row in range(20_000)] == got["metadatas"]
        np.testing.assert_array_equal(vectors, got["embeddings"])
