"""The stores and the embedding model that every LangChain test uses. All offline.

`store` is empty, and of two kinds: in memory, and in a directory that is closed and opened again
before every single call of the engine. What a test wrote is checked when it ends.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

import vicinal
from langchain_vicinal import VicinalEmbeddings, VicinalVectorStore
from vicinal.testing import HashEmbeddingFunction, check


def pytest_configure(config: pytest.Config) -> None:
    """LangChain's suites carry marks of plugins that are switched off here."""
    for name in ("benchmark", "vcr"):
        config.addinivalue_line("markers", f"{name}: of langchain_tests; never run here")


class ReopenedStore(VicinalVectorStore):
    """Sees only what is on disk: every use of the collection opens another client, and closes an older one,
    which is not the last, for another thread may be using that."""

    @property
    def _collection(self) -> vicinal.Collection:
        client = self._connection.client
        self._older.append(client)
        while len(self._older) > 4:
            self._older.pop(0).close()
        self._connection = VicinalVectorStore(self._embedding, path=client.path)._connection
        return self._connection.collection

    @_collection.setter
    def _collection(self, _: vicinal.Collection) -> None:
        """The one that the constructor opened is never used."""
        self._older: list[vicinal.PersistentClient] = []

    def close(self) -> None:
        super().close()
        while self._older:
            self._older.pop().close()


OPEN: dict[str, Callable[[Embeddings, Path], VicinalVectorStore]] = {
    "memory": lambda embedding, _: VicinalVectorStore(embedding),
    "directory": lambda embedding, path: VicinalVectorStore(embedding, path=path),
    "reopened": lambda embedding, path: ReopenedStore(embedding, path=path),
}


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[..., VicinalVectorStore]]:
    """`open_store(kind, embedding)`: an empty store, sound when the test ends."""
    opened: list[VicinalVectorStore] = []

    def open_one(kind: str, embedding: Embeddings) -> VicinalVectorStore:
        opened.append(OPEN[kind](embedding, tmp_path / "vicinal"))
        return opened[-1]

    yield open_one
    for store in opened:
        assert check(store._connection.client) == []
        store.close()


class Table(Embeddings):
    """Texts with given vectors, so that a test knows every distance."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.vectors[text] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.vectors[text]


@pytest.fixture
def table() -> type[Table]:
    return Table


@pytest.fixture
def embedding() -> Embeddings:
    """Words hashed to directions: texts that share words are near."""
    return VicinalEmbeddings(HashEmbeddingFunction())


@pytest.fixture(params=["memory", "reopened"])
def store(request: Any, open_store: Any, embedding: Embeddings) -> VicinalVectorStore:
    """An empty store, in memory and read again from disk at every step."""
    return open_store(request.param, embedding)


@pytest.fixture
def films() -> list[Document]:
    return [
        Document("A crew in space meets a creature", id="alien", metadata={"year": 1979, "genre": "horror"}),
        Document(
            "A clerk dreams in a city of paper", id="brazil", metadata={"year": 1985, "genre": "satire"}
        ),
        Document(
            "A signal from space for an astronomer", id="contact", metadata={"year": 1997, "genre": "sf"}
        ),
        Document("A desert planet in space and its spice", id="dune", metadata={"year": 1984, "genre": "sf"}),
    ]
