"""Adding many documents with ready vectors costs little more than the engine's own add."""

import statistics
import time

import numpy as np
import pytest
from langchain_core.documents import Document

import vicinal
from langchain_vicinal import VicinalVectorStore

COUNT, ROUNDS = 20_000, 7
VECTORS = np.random.default_rng(0).standard_normal((COUNT, 64), dtype=np.float32)
TEXTS = [f"text number {i} " * 10 for i in range(COUNT)]
METADATAS = [{"year": i % 50, "source": f"s{i % 100}", "topics": ["a", "b"]} for i in range(COUNT)]
IDS = [f"id{i}" for i in range(COUNT)]
COSINE = {"hnsw": {"space": "cosine"}}


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def engine(path):
    with vicinal.PersistentClient(path) as client:
        collection = client.create_collection("bulk", configuration=COSINE, embedding_function=None)
        return seconds(lambda: collection.add(IDS, VECTORS, METADATAS, TEXTS))


def adapter(path):
    documents = (Document(t, id=id, metadata=m) for t, id, m in zip(TEXTS, IDS, METADATAS))
    with VicinalVectorStore(path=path) as store:
        listed = list(documents)  # making Documents is not the store's work
        return seconds(lambda: store.add_documents(iter(listed), embeddings=VECTORS))


@pytest.mark.slow
def test_the_adapter_adds_at_most_three_tenths(tmp_path):
    ratios = []
    for i in range(ROUNDS):
        first, second = (engine, adapter) if i % 2 else (adapter, engine)
        took = {work: work(tmp_path / f"{i}-{work.__name__}") for work in (first, second)}
        ratios.append(took[adapter] / took[engine])
    assert statistics.median(ratios) <= 1.3
