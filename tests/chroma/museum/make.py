"""Which directories did Chroma write, and what did it say was in them?

`python tests/chroma/museum/make.py` writes `chroma-VERSION.zip` with whatever chromadb is installed: a small
directory, closed in the middle of its work (the log ahead of the index), and `answers.json`, which is what
that chromadb itself answered. The committed ones were made by chromadb 0.4.24, 0.6.3, 1.0.4 and 1.5.9.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
COLUMNS = ["embeddings", "documents", "metadatas", "uris"]
SPACES = [("default_tenant", "default_database"), ("acme", "library")]
PORTRAIT = {"lang": "de", "year": 1928, "rating": 4.5, "read": True, "ключ": "значение"}


class Function:
    """An embedding function that no collection remembers."""

    def __call__(self, input: list[str]) -> list[list[float]]:
        return [[1.0, 2.0, 3.0, 4.0] for _ in input]


def fill(client: Any, version: tuple[int, ...]) -> None:
    """Two collections whose index has been written in part, and one whose index has not."""
    rng = np.random.default_rng(7)
    hnsw = {"hnsw:space": "cosine", "hnsw:sync_threshold": 10, "hnsw:batch_size": 5, "hnsw:search_ef": 50}
    books = client.create_collection("books", metadata={"shelf": 3, **hnsw}, embedding_function=Function())
    books.add(
        ids=[f"b{n}" for n in range(25)],
        embeddings=rng.normal(size=(25, 4)).tolist(),
        documents=[f"book {n}: Ünïcödé %_\\" for n in range(25)],
        metadatas=[{**PORTRAIT, "n": n, "odd": n % 2 == 1} for n in range(25)],
    )
    books.delete(ids=["b3", "b20"])
    books.update(ids=["b4"], embeddings=[[1, 2, 3, 4]], metadatas=[{"year": 2000, "new": "yes"}])
    books.upsert(
        ids=["b5", "b99"], embeddings=[[0, 0, 0, 1], [0, 2, 0, 0]], documents=["five", "ninety-nine"]
    )
    books.add(ids=["b3", "b6"], embeddings=[[5, 5, 5, 5], [9, 9, 9, 9]], documents=["again", "ignored"])
    books.update(ids=["absent"], embeddings=[[1, 1, 1, 1]])
    dots = client.create_collection("dots", metadata={"hnsw:space": "ip"}, embedding_function=Function())
    dots.add(ids=["x", "y"], embeddings=[[1, 2], [3, 4]], uris=["file:///x", "file:///y"])
    dots.delete(ids=["x"])
    dots.add(ids=["x"], embeddings=[[7, 8]])
    client.create_collection("empty", embedding_function=Function())
    if version >= (1, 0):
        graph = {"space": "l2", "ef_construction": 64, "max_neighbors": 8}
        client.create_collection("default", configuration={"hnsw": graph})
    if version >= (1, 5):
        from chromadb import Schema, StringInvertedIndexConfig

        books.update(ids=["b7"], metadatas=[{"year": None, "lang": None}])
        dots.update(ids=["y"], metadatas=[{"tags": ["a", "b"], "years": [1, 2]}])
        schema = Schema().delete_index(StringInvertedIndexConfig(), key="body")
        client.create_collection("schema", schema=schema, embedding_function=None)


def answers(client: Any, version: tuple[int, ...]) -> dict[str, Any]:
    """What chromadb says, by collection."""
    names = [entry if isinstance(entry, str) else getattr(entry, "name", entry) for entry in _list(client)]
    found = {}
    for name in sorted(map(str, names)):
        options = {} if version >= (1, 0) else {"embedding_function": Function()}
        collection = client.get_collection(name, **options)
        got = collection.get(include=COLUMNS)
        got["embeddings"] = np.asarray(got["embeddings"]).tolist()
        columns = {column: got[column] for column in ("ids", *COLUMNS)}
        configuration = getattr(collection, "configuration_json", None) if version >= (1, 0) else None
        found[name] = {**columns, "metadata": collection.metadata, "configuration": configuration}
    return found


def _list(client: Any) -> list[Any]:
    return [
        str(entry) if type(entry).__name__ == "CollectionName" else entry
        for entry in client.list_collections()
    ]


def main() -> None:
    """Write the zip."""
    for name, kind in (
        ("float_", np.float64),
        ("NaN", np.nan),
    ):  # what NumPy 2 dropped and chromadb 0.4 names
        vars(np).setdefault(name, kind)
    import chromadb
    from chromadb.config import Settings

    version = tuple(map(int, chromadb.__version__.split(".")[:2]))
    with tempfile.TemporaryDirectory() as made:
        settings = Settings(is_persistent=True, persist_directory=made, anonymized_telemetry=False)
        admin = chromadb.AdminClient(settings)
        admin.create_tenant("acme")
        admin.create_database("library", "acme")
        said = {}
        for tenant, database in SPACES:
            client = chromadb.PersistentClient(made, settings, tenant=tenant, database=database)
            if tenant == SPACES[0][0]:
                fill(client, version)
            else:
                notes = client.create_collection("notes", embedding_function=Function())
                notes.add(ids=["1"], embeddings=[[1.0, 0.0]], documents=["a note"])
            said[f"{tenant}/{database}"] = answers(client, version)
        (Path(made) / "answers.json").write_text(json.dumps(said))
        target = HERE / f"chroma-{chromadb.__version__}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as packed:
            for path in sorted(Path(made).rglob("*")):
                packed.write(path, path.relative_to(made))
        print(target, target.stat().st_size, file=sys.stderr)


if __name__ == "__main__":
    main()
