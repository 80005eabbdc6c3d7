"""How does an index search the whole store, whatever kinds of node it holds?

`VectorStoreIndex.as_retriever` restricts every query to the ids that its index structure knows. For
a store that keeps text these are none (no restriction) until the first image or index node comes;
from then on they are those nodes alone, and every text node is lost from the answers. This index
sends no ids.
"""

from __future__ import annotations

from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.indices.vector_store import VectorIndexRetriever, VectorStoreIndex


class WholeStoreIndex(VectorStoreIndex):
    """A `VectorStoreIndex` whose retrievers search all nodes of its store."""

    def as_retriever(self, **kwargs: Any) -> BaseRetriever:
        """A retriever over all nodes, or over `node_ids` when they are given."""
        shared = {"callback_manager": self._callback_manager, "object_map": self._object_map}
        return VectorIndexRetriever(self, **{**shared, **kwargs})
