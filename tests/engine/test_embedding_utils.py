"""What programs imported from `chromadb.utils` is found in `vicinal.utils`."""

import pytest

from vicinal.utils import embedding_functions, results
from vicinal.utils.batch_utils import create_batches

RECORDS = {"ids": ["a", "b", "c"], "embeddings": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]}


class Small:
    """A client that takes two records at once."""

    def get_max_batch_size(self) -> int:
        return 2


def test_a_large_batch_is_cut():
    batches = create_batches(Small(), ["a", "b", "c"], documents=["x", "y", "z"])
    assert [(["a", "b"], None, None, ["x", "y"]), (["c"], None, None, ["z"])] == batches


@pytest.mark.parametrize("ids", [[], ["a"], ["a", "b"]])
def test_a_small_batch_stays_whole(ids):
    assert [(ids, None, None, None)] == create_batches(Small(), ids)


def test_a_batch_that_was_cut_can_be_added(collection):
    for ids, embeddings, metadatas, documents in create_batches(Small(), **RECORDS):
        collection.add(ids=ids, embeddings=embeddings, metadatas=metadatas, documents=documents)
    assert 3 == collection.count()


def test_records_become_a_data_frame(collection):
    pytest.importorskip("pandas")
    collection.add(**RECORDS, documents=["x", "y", "z"])
    frame = results.get_result_to_df(collection.get(include=["documents", "embeddings"]))
    assert (["a", "b", "c"], ["document", "embedding"]) == (list(frame.index), sorted(frame.columns))
    assert [1.0, 1.0] == list(frame.loc["c", "embedding"])


def test_each_query_becomes_a_data_frame(collection):
    pytest.importorskip("pandas")
    collection.add(**RECORDS)
    found = collection.query(query_embeddings=[[1, 0], [0, 1]], n_results=2)
    first, second = results.query_result_to_dfs(found)
    assert ("a", "b", 0.0) == (first.index[0], second.index[0], first["distance"].iloc[0])


def test_every_name_of_the_module_is_there():
    missing = [name for name in embedding_functions.__all__ if not hasattr(embedding_functions, name)]
    assert [] == missing


@pytest.mark.filterwarnings("ignore")
def test_what_chroma_has_and_we_lack_is_what_the_documentation_says():
    chromas = pytest.importorskip("chromadb.utils.embedding_functions").get_builtins()
    lacking = {
        *("AmazonBedrock", "Baseten", "ChromaCloudQwen", "ChromaCloudSplade", "CloudflareWorkersAI"),
        *("FastembedSparse", "Bm25", "Instructor", "Morph", "Nomic", "Perplexity", "Roboflow", "Text2Vec"),
        *("TogetherAI", "GooglePalm", "GoogleVertex"),
    }
    ours = set(embedding_functions.__all__)
    assert {f"{name}EmbeddingFunction" for name in lacking} == chromas - ours
