"""How are pictures stored and found?  Called as in LangChain's Chroma store.

The embedding model needs `embed_image(uris)`, as LangChain's multimodal embeddings have; then pictures
are found by pictures, and, where the model puts texts and pictures in one space, by texts.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from langchain_core.runnables.config import run_in_executor

from langchain_vicinal import _batch
from langchain_vicinal._batch import Batch, Metadatas
from langchain_vicinal._filters import Filter
from langchain_vicinal._rerank import Hit
from langchain_vicinal._retriever import TypedSearch
from vicinal.errors import ArgumentTypeError, EmbeddingFunctionError


class ImageMethods(TypedSearch):
    """The methods for pictures."""

    def add_images(
        self,
        uris: Iterable[str],
        metadatas: Metadatas | None = None,
        ids: Iterable[str | None] | None = None,
    ) -> list[str]:
        """Add picture files, replacing the records whose ids exist.

        A record's text is the file in base64, its `uri` the path.

        Returns:
            One id per picture.
        """
        given, batch = _pictures(uris, metadatas, ids)
        if batch.ids:
            self._store_images(batch, self._image_model()(batch.texts))
        return given

    async def aadd_images(
        self,
        uris: Iterable[str],
        metadatas: Metadatas | None = None,
        ids: Iterable[str | None] | None = None,
    ) -> list[str]:
        """Async `add_images`."""
        given, batch = await run_in_executor(None, _pictures, uris, metadatas, ids)
        if batch.ids:
            vectors = await self._aembed_images(batch.texts)
            await run_in_executor(None, self._store_images, batch, vectors)
        return given

    def similarity_search_by_image(
        self, uri: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The k documents nearest to a picture; other arguments as in `similarity_search_by_vector`."""
        [vector] = self._image_model()([str(uri)])
        return self.similarity_search_by_vector(vector, k, filter, **kwargs)

    async def asimilarity_search_by_image(
        self, uri: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """Async `similarity_search_by_image`."""
        [vector] = await self._aembed_images([str(uri)])
        return await self.asimilarity_search_by_vector(vector, k, filter=filter, **kwargs)

    def similarity_search_by_image_with_relevance_score(
        self, uri: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Hit]:
        """Like `similarity_search_by_image`, with each document's relevance in [0, 1]."""
        [vector] = self._image_model()([str(uri)])
        return self.similarity_search_by_vector_with_relevance_scores(vector, k, filter, **kwargs)

    async def asimilarity_search_by_image_with_relevance_score(
        self, uri: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Hit]:
        """Async `similarity_search_by_image_with_relevance_score`."""
        [vector] = await self._aembed_images([str(uri)])
        return await self.asimilarity_search_by_vector_with_relevance_scores(vector, k, filter, **kwargs)

    def _image_model(self) -> Callable[[list[str]], list[Any]]:
        embed = getattr(self._embedder(), "embed_image", None)
        if embed is None:
            raise EmbeddingFunctionError(
                f"{type(self._embedder()).__name__} embeds no pictures: it has no embed_image(uris). "
                "Use a multimodal embedding model"
            )
        return lambda uris: list(embed(uris=uris))

    async def _aembed_images(self, uris: list[str]) -> list[Any]:
        awaited = getattr(self._embedder(), "aembed_image", None)
        if awaited is not None:
            return list(await awaited(uris=uris))
        return await run_in_executor(None, self._image_model(), uris)

    def _store_images(self, batch: Batch, vectors: Any) -> None:
        texts = [base64.b64encode(Path(uri).read_bytes()).decode() for uri in batch.texts]
        self._collection.upsert(
            batch.ids, vectors, batch.metadatas, texts, uris=batch.texts, merge_metadata=False
        )


def _pictures(
    uris: Iterable[Any], metadatas: Metadatas | None, ids: Iterable[str | None] | None
) -> tuple[list[str], Batch]:
    if isinstance(uris, str):
        raise ArgumentTypeError(argument="uris", expected="a list of paths", got=uris)
    return _batch.of_texts(map(str, _batch.listed(uris, "uris")), metadatas, ids)
