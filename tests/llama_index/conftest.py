"""The embedder, the stores and the small helpers that every LlamaIndex test uses. All offline."""

import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.schema import (
    BaseNode,
    Document,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.utils import node_to_metadata_dict

from llama_index.vector_stores.vicinal import VicinalVectorStore

DIMENSION = 64


class HashEmbedding(BaseEmbedding):
    """A bag of words, each word hashed to a dimension: texts that share words are near."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = np.zeros(DIMENSION)
        for word in re.findall(r"\w+", text.lower()):
            vector[zlib.crc32(word.encode()) % DIMENSION] += 1
        return (vector / (np.linalg.norm(vector) or 1)).tolist()

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class CannedLLM(CustomLLM):
    """Answers every prompt with the same text."""

    answer: str

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.answer)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        yield self.complete(prompt)


@pytest.fixture
def canned() -> Callable[[str], CannedLLM]:
    """Makes a language model that has one answer."""
    return lambda answer: CannedLLM(answer=answer)


@pytest.fixture
def sources() -> Callable[[list[NodeWithScore]], list[str | None]]:
    """The documents from which retrieved nodes come, in their order."""
    return lambda found: [each.node.ref_doc_id or each.node_id for each in found]


@pytest.fixture
def embedder() -> HashEmbedding:
    return HashEmbedding()


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VicinalVectorStore]:
    """An empty store, in memory and in a directory."""
    path = None if request.param == "memory" else tmp_path / "vicinal"
    opened = VicinalVectorStore(path=path)
    yield opened
    opened.close()


@pytest.fixture
def reopen() -> Iterator[Callable[[VicinalVectorStore], VicinalVectorStore]]:
    """Close a store and open its directory again, as the next process does; memory stays."""
    opened: list[VicinalVectorStore] = []

    def again(store: VicinalVectorStore) -> VicinalVectorStore:
        if store.path is None:
            return store
        store.close()
        opened.append(VicinalVectorStore(store.collection_name, path=store.path))
        return opened[-1]

    yield again
    for each in opened:
        each.close()


@pytest.fixture
def node() -> Callable[..., TextNode]:
    """Makes a text node: id, its document's id if any, embedding, and metadata by keyword."""

    def make(id: str, source: str | None = None, at: list[float] | None = None, **metadata: Any) -> TextNode:
        made = TextNode(id_=id, text=f"text of {id}", metadata=metadata, embedding=at or [1.0, 0.0])
        if source is not None:
            made.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=source)
        return made

    return make


@pytest.fixture
def add_theirs() -> Callable[..., None]:
    """Adds nodes to a store's collection as other LlamaIndex stores write them, ChromaVectorStore for one."""

    def add(store: VicinalVectorStore, *nodes: BaseNode) -> None:
        store.collection.add(
            [each.node_id for each in nodes],
            embeddings=[each.embedding for each in nodes],
            documents=[each.get_content(metadata_mode=MetadataMode.NONE) for each in nodes],
            metadatas=[node_to_metadata_dict(each, remove_text=True) for each in nodes],
        )

    return add


@pytest.fixture
def ids() -> Callable[[list[BaseNode]], list[str]]:
    """The ids of nodes, sorted."""
    return lambda nodes: sorted(each.node_id for each in nodes)


FILMS = [
    ("alien", "A crew in space meets a creature", 1979, ["space", "horror"]),
    ("brazil", "A clerk dreams in a city of paper forms", 1985, ["satire"]),
    ("contact", "A signal from space reaches a radio astronomer", 1997, ["space"]),
    ("dune", "A desert planet and its spice", 1984, ["desert", "space"]),
]


@pytest.fixture
def films() -> list[Document]:
    return [
        Document(id_=id, text=text, metadata={"year": year, "tags": tags}) for id, text, year, tags in FILMS
    ]


@pytest.fixture
def film_index(store: VicinalVectorStore, films: list[Document], embedder: HashEmbedding) -> VectorStoreIndex:
    """The films, one node each, in an index over the store."""
    index = store.as_index(embedder)
    for film in films:
        index.insert(film)
    return index
