"""Adding many documents with ready vectors costs little more calls and memory than the engine's own add."""

import numpy as np
import pytest
from langchain_core.documents import Document

import vicinal
from langchain_vicinal import VicinalEmbeddings, VicinalVectorStore

COUNT = 2_000
VECTORS = np.random.default_rng(0).standard_normal((COUNT, 256), dtype=np.float32)
TEXTS = [f"text number {i} " * 10 for i in range(COUNT)]
METADATAS = [{"year": i % 50, "source": f"s{i % 100}", "topics": ["a", "b"]} for i in range(COUNT)]
IDS = [f"id{i}" for i in range(COUNT)]
COSINE = {"hnsw": {"space": "cosine"}}


def engine(path, cost_of):
    with vicinal.PersistentClient(path) as client:
        collection = client.create_collection("bulk", configuration=COSINE, embedding_function=None)
        return cost_of(lambda: collection.add(IDS, VECTORS, METADATAS, TEXTS))[1]


def adapter(path, cost_of):
    listed = [Document(t, id=id, metadata=m) for t, id, m in zip(TEXTS, IDS, METADATAS)]
    with VicinalVectorStore(path=path) as store:
        return cost_of(lambda: store.add_documents(iter(listed), embeddings=VECTORS))[1]


@pytest.mark.parametrize("cost", ["calls_of", "peak_of"])
def test_the_adapter_adds_at_most_a_tenth(tmp_path, request, cost):
    cost_of = request.getfixturevalue(cost)
    adapter(tmp_path / "first", lambda add: (add(), None))  # what that imports costs nothing later
    own = engine(tmp_path / "engine", cost_of)
    assert adapter(tmp_path / "adapter", cost_of) <= 1.1 * own


async def test_vectors_of_an_embedding_function_never_become_lists(tmp_path, peak_of):
    """2,000 vectors of 256 numbers are 2 MB, and as lists 16 MB."""
    embedding = VicinalEmbeddings(lambda input: VECTORS)
    with VicinalVectorStore(embedding, path=tmp_path) as store:
        _, peak = peak_of(lambda: store.add_texts(TEXTS, ids=IDS))
        assert (await store.aadd_texts(["two"] * COUNT, ids=IDS), store.count()) == (IDS, COUNT)
    assert peak < 6 * VECTORS.nbytes
