"""What do the searching and the writing half of the store share?  The collection and who embeds."""

from __future__ import annotations

from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

import vicinal
from langchain_vicinal.embeddings import VicinalEmbeddings
from vicinal.errors import EmbeddingFunctionError


class StoreBase(VectorStore):
    """A collection and an embedding model; a subclass's constructor sets both."""

    _collection: vicinal.Collection
    _embedding: Embeddings | None

    @property
    def embeddings(self) -> Embeddings | None:
        """The embedding model: the given one, else the collection's own function, else None."""
        if self._embedding is None:
            function = self._collection.embedding_function
            self._embedding = None if function is None else VicinalEmbeddings(function)
        return self._embedding

    def _embedder(self) -> Embeddings:
        if self.embeddings is None:
            raise EmbeddingFunctionError(
                "Nothing can embed text here: the store was given no embedding=, and collection "
                f'"{self._collection.name}" has no embedding function. Give one, or use the '
                "methods that take vectors"
            )
        return self.embeddings
