"""Writes one piece of the museum: a small directory in the format of today, and what it holds.

    python tests/engine/museum/make.py tests/engine/museum/format-1

A piece is made once, by the release whose format it is, and never changed: later releases read it.
Ids of collections differ from run to run; everything else is the same.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

import vicinal
from vicinal._index import planner
from vicinal.testing import check, dump, wait_for_index

METADATA: list[dict[str, Any] | None] = [
    {"text": "é 🦉", "int": 2**70, "float": -0.5, "yes": True, "none": None, "list": [1, "two", [3.0]]},
    {"when": datetime(2026, 1, 31, 12, 30), "day": date(2026, 1, 31), "object": {"#type": "mine", "a": {}}},
    {"inf": float("inf"), "dotted.key": {"inner": 1}},
    None,
]


def fill(client: vicinal.Client) -> None:
    """Every kind of value, record, change and collection that the format can hold."""
    odd = client.create_collection(
        "odd", embedding_function=None, metadata={"purpose": "every kind of value"}
    )
    ids = ["plain", "a\0b", "'; --", "x" * 300]
    odd.add(
        ids=ids,
        embeddings=[[1, 0.5], [0, -2], [1e-30, 1e30], [0, 0]],
        documents=["one", "", None, "line\nline"],
        metadatas=METADATA,
        uris=["file:///a", None, None, "b"],
    )
    changed = client.create_collection(
        "changed", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    rows = np.random.default_rng(1).integers(-9, 10, (40, 8)).astype(np.float32)
    changed.add(ids=[f"{i}" for i in range(40)], embeddings=rows, metadatas=[{"n": i} for i in range(40)])
    changed.delete(ids=["3", "4"])
    changed.compact()
    changed.update(ids=["5", "6"], embeddings=-rows[:2], metadatas=[{"n": -5}, {"n": -6}])
    changed.delete(ids=["7"])
    wait_for_index(changed)
    client.create_collection("empty", embedding_function=None, metadata={"n": 1})


def contents(client: vicinal.Client) -> dict[str, Any]:
    """What a directory holds, as JSON can say it: metadata by its repr."""
    return {
        things.name: {
            "metadata": things.metadata,
            "space": things.configuration["hnsw"]["space"],
            "records": [{**record, "metadatas": repr(record["metadatas"])} for record in dump(things)],
        }
        for things in client.list_collections()
    }


def make(target: Path) -> None:
    """Write the directory and, beside it, `<name>.json`."""
    planner.GRAPH_BYTES_MIN = 512
    shutil.rmtree(target, ignore_errors=True)
    with vicinal.PersistentClient(target) as client:
        fill(client)
        assert check(client) == []
        expected = contents(client)
    for database in target.rglob("*.sqlite3"):
        connection = sqlite3.connect(database)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        state = next(connection.execute("SELECT name FROM sqlite_master WHERE name = 'state'"), None)
        if state is not None:  # the vector file ends in a hole; git would store its zeros
            rows, dimension, generation = connection.execute(
                "SELECT rows, dimension, generation FROM state"
            ).fetchone()
            vectors = database.with_name(f"vectors-{generation}.f32")
            if vectors.exists():
                os.truncate(vectors, rows * dimension * 4)
        connection.close()
    left = [*target.rglob("*-wal"), *target.rglob("*-shm"), *target.rglob("upkeep.lock")]
    for path in left:
        path.unlink()
    target.with_suffix(".json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
