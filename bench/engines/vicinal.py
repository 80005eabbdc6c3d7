"""How is Vicinal asked? A persistent client; an acknowledged batch is on disk."""

from __future__ import annotations

import importlib
import inspect
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.engines.base import HNSW, THREADS, Answer, Batch, Engine, NotOfferedError, Sparse, ef_search
from bench.filters import ANY, Condition

_WANTED = ["documents", "metadatas"]


class ChromaApi(Engine):
    """What Vicinal and Chroma share: Chroma's collection."""

    client: Any
    collection: Any

    def _connect(self, directory: Path) -> Any:
        raise NotImplementedError

    def open(self, directory: Path, shape: tuple[int, int]) -> None:
        self.client = self._connect(directory)
        graph = {"space": "cosine", "num_threads": THREADS, "ef_search": ef_search(shape[0]), **HNSW}
        self.collection = self.client.get_or_create_collection(
            "bench", configuration={"hnsw": graph}, embedding_function=None
        )

    def close(self) -> None:
        self.client.close()

    def add(self, batch: Batch) -> None:
        self.collection.add(**batch)

    def query(self, vector: Any, k: int, condition: Condition = ANY) -> Answer:
        return self._ask(query_embeddings=[vector], n_results=k, **_filters(condition))[0]

    def query_many(self, vectors: Any, k: int) -> Sequence[Answer]:
        return self._ask(query_embeddings=vectors, n_results=k)

    def upsert(self, batch: Batch) -> None:
        self.collection.upsert(**batch)

    def delete(self, ids: list[str]) -> None:
        self.collection.delete(ids=ids)

    def delete_where(self, condition: Condition) -> None:
        self.collection.delete(**_filters(condition))

    def _ask(self, **arguments: Any) -> list[Answer]:
        found = self.collection.query(include=_WANTED, **arguments)
        return list(zip(found["ids"], found["documents"], found["metadatas"]))


class Vicinal(ChromaApi):
    """The engine that this repository holds, and its adapters."""

    package = "vicinal"

    def __init__(self) -> None:
        self.aside: list[Any] = []

    def _connect(self, directory: Path) -> Any:
        return importlib.import_module("vicinal").PersistentClient(directory)

    def finish(self) -> None:
        importlib.import_module("vicinal.testing").wait_for_index(self.collection)

    settle = finish

    def mmr(self, vector: Any, k: int, fetch_k: int) -> Answer:
        wanted = [*_WANTED, "embeddings"]
        found = self.collection.query([vector], n_results=k, lambda_mult=0.5, fetch_k=fetch_k, include=wanted)
        return found["ids"][0], found["documents"][0], found["metadatas"][0]

    def text(self, question: str, k: int) -> Answer:
        return self._by_mode("text", query_texts=[question], n_results=k)

    def hybrid(self, question: str, vector: Any, k: int) -> Answer:
        return self._by_mode("hybrid", query_texts=[question], query_embeddings=[vector], n_results=k)

    def sparse(self, batches: Iterable[Batch], vectors: Sequence[Sparse], k: int) -> list[Callable[[], Any]]:
        vicinal = importlib.import_module("vicinal")
        schema = vicinal.Schema().create_index(vicinal.SparseVectorIndexConfig(), key="sparse")
        held = self._aside().create_collection("sparse", schema=schema, embedding_function=None)
        for batch in batches:
            metadatas = [{"sparse": vicinal.SparseVector(*parts)} for parts in batch["sparse"]]
            held.add(batch["ids"], [[1.0]] * len(metadatas), metadatas, batch["documents"])
        ranks = [vicinal.Knn(vicinal.SparseVector(*parts), "sparse", limit=k) for parts in vectors]
        wanted = [vicinal.K.DOCUMENT, vicinal.K.METADATA]
        asked = [vicinal.Search(rank=rank, limit=k, select=wanted) for rank in ranks]
        return [lambda search=search: held.search(search) for search in asked]

    def count(self, condition: Condition) -> int:
        return int(self.collection.count(**_filters(condition)))

    def langchain(self, batch: Batch, vectors: Any, k: int) -> list[Callable[[], Any]]:
        store_class = importlib.import_module("langchain_vicinal").VicinalVectorStore
        embeddings = importlib.import_module("langchain_core.embeddings").Embeddings

        class Ready(embeddings):  # type: ignore[misc, valid-type]
            """The vectors that are there already."""

            def embed_documents(self, texts: list[str]) -> Any:
                return batch["embeddings"][: len(texts)]

            def embed_query(self, text: str) -> Any:
                raise NotImplementedError(text)

        store = store_class(Ready(), "langchain", client=self._aside())
        store.add_texts(batch["documents"], batch["metadatas"], ids=batch["ids"])
        lists = [vector.tolist() for vector in vectors]  # LangChain's vectors are lists of floats
        through = [lambda v=v: store.similarity_search_by_vector(v, k) for v in lists]
        return _in_turns(store.collection, lists, k, through)

    def llama_index(self, batch: Batch, vectors: Any, k: int) -> list[Callable[[], Any]]:
        store_class = importlib.import_module("llama_index.vector_stores.vicinal").VicinalVectorStore
        node = importlib.import_module("llama_index.core.schema").TextNode
        query = importlib.import_module("llama_index.core.vector_stores.types").VectorStoreQuery
        store = store_class("llama_index", client=self._aside())
        columns = zip(batch["ids"], batch["documents"], batch["metadatas"], batch["embeddings"].tolist())
        store.add([node(id_=i, text=t, metadata=m, embedding=v) for i, t, m, v in columns])
        lists = [vector.tolist() for vector in vectors]
        asked = [query(query_embedding=v, similarity_top_k=k) for v in lists]
        return _in_turns(store._collection, lists, k, [lambda q=q: store.query(q) for q in asked])

    def _aside(self) -> Any:
        """A client of a directory of its own, which goes with the process."""
        directory = tempfile.TemporaryDirectory()
        self.aside.append(directory)
        return self._connect(Path(directory.name))

    def _by_mode(self, mode: str, **arguments: Any) -> Answer:
        if "mode" not in inspect.signature(self.collection.query).parameters:
            raise NotOfferedError
        return self._ask(mode=mode, **arguments)[0]


def _in_turns(collection: Any, vectors: Any, k: int, through: list[Any]) -> list[Callable[[], Any]]:
    """A direct call, then one through the framework with another vector: none finds a warm cache."""
    importlib.import_module("vicinal.testing").wait_for_index(collection)
    direct = [lambda v=v: collection.query(v, n_results=k) for v in vectors]
    half = len(vectors) // 2
    return [call for pair in zip(direct, through[half:] + through[:half]) for call in pair]


def _filters(condition: Condition) -> dict[str, Any]:
    """As keyword arguments, those that there are: Chroma refuses empty ones."""
    return {
        name: value
        for name, value in (("where", condition.where), ("where_document", condition.document))
        if value is not None
    }
