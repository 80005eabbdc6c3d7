"""What a typed program may write, type checkers accept: `make types` reads this file, too."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import vicinal
from vicinal import K, SparseVectorIndexConfig
from vicinal.testing import HashEmbeddingFunction


class Configuration(TypedDict, total=False):
    hnsw: dict[str, Any]


class LangChains:
    """As a LangChain `Embeddings` object has them, and no `__call__`."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(len(text)), 1.0] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def test_the_async_methods_that_hand_out_collections() -> None:
    async def story() -> tuple[str, int]:
        async with vicinal.AsyncEphemeralClient() as client:
            things = await client.create_collection("things", embedding_function=None)
            forked: vicinal.AsyncCollection = await things.fork(new_name="forked")
            listed = await client.list_collections(limit=1, offset=1)
            return forked.name, sum([await each.count() for each in listed])

    assert asyncio.run(story()) == ("forked", 0)


def test_a_configuration_of_a_type_of_ones_own() -> None:
    wanted: Configuration = {"hnsw": {"space": "cosine"}}
    later: Configuration = {"hnsw": {"ef_search": 7}}
    things = vicinal.EphemeralClient().create_collection("things", configuration=wanted)
    things.modify(configuration=later)
    assert (things.configuration["hnsw"]["space"], things.configuration["hnsw"]["ef_search"]) == ("cosine", 7)


def test_an_embedding_function_that_is_one_of_langchains() -> None:
    things = vicinal.EphemeralClient().create_collection("things", embedding_function=LangChains())
    things.add(ids=["a", "b"], documents=["one", "three"])
    assert things.query(query_texts="seven", n_results=1)["ids"] == [["b"]]


def test_a_source_that_is_a_key() -> None:
    def counted(input: list[str]) -> list[vicinal.SparseVector]:
        return [vicinal.SparseVector([0], [float(len(text))]) for text in input]

    assert (
        SparseVectorIndexConfig(source_key=K.DOCUMENT, embedding_function=counted).source_key == "#document"
    )


def test_a_module_by_its_name() -> None:
    settings: vicinal.config.Settings = vicinal.config.Settings(allow_reset=True)
    function: vicinal.embedding.EmbeddingFunction = HashEmbeddingFunction()
    fields: list[vicinal.types.Field] = ["documents"]
    things = vicinal.EphemeralClient(settings).create_collection("things", embedding_function=function)
    assert things.get(include=fields)["documents"] == []
    assert vicinal.search.Search().to_dict()["limit"] == {"offset": 0}
