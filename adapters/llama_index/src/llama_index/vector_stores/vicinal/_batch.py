"""How do many nodes become one write?

A batch is converted in pieces, so that others have a turn in between; what is then written is one
call of the engine, all or nothing. Vectors are packed straight into one float32 array: half of the
time that numpy takes over lists of floats, and no step that holds the interpreter's lock for long.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from llama_index.core.schema import BaseNode

from llama_index.vector_stores.vicinal._nodes import document_of, metadata_of
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

PIECE = 200
"""Nodes a piece: some 2 ms of work."""


class Batch:
    """Nodes on their way into a collection, one alone included. Of nodes with the same id the last counts.

    Raises `InvalidArgumentError` when a node has no embedding, `ArgumentTypeError` for what is no node.
    """

    def __init__(self, nodes: Iterable[BaseNode] | BaseNode) -> None:
        self.given_ids: list[str] = []
        self._nodes: dict[str, BaseNode] = {}
        for node in _each(nodes):
            if node.embedding is None:
                raise InvalidArgumentError(
                    f'Node "{node.node_id}" has no embedding. A vector store keeps embedded nodes: '
                    "add through an index or an IngestionPipeline that has an embed_model, or set "
                    "node.embedding"
                )
            self.given_ids.append(node.node_id)
            self._nodes[node.node_id] = node
        first = next(iter(self._nodes.values()), None)
        dimension = 0 if first is None or first.embedding is None else len(first.embedding)
        self._vectors = np.empty((len(self._nodes), dimension), np.float32)
        self._packed = True
        self._metadatas: list[dict[str, Any]] = []
        self._documents: list[str] = []

    def convert(self) -> Iterator[None]:
        """Convert the nodes; comes back after each piece."""
        nodes = list(self._nodes.values())
        for start in range(0, len(nodes), PIECE):
            piece = nodes[start : start + PIECE]
            self._metadatas += map(metadata_of, piece)
            self._documents += map(document_of, piece)
            self._packed = self._packed and self._pack(start, piece)
            yield

    def columns(self) -> dict[str, Any]:
        """The arguments of `Collection.upsert`, once all is converted."""
        return {
            "ids": list(self._nodes),
            # What cannot be packed goes as it is: the engine takes it, or says what is wrong.
            "embeddings": self._vectors
            if self._packed
            else [np.asarray(node.embedding) for node in self._nodes.values()],
            "metadatas": self._metadatas,
            "documents": self._documents,
        }

    def release(self) -> None:
        """Free what was converted, in pieces: a long list that is freed at once stops everybody."""
        while self._metadatas:
            del self._metadatas[-PIECE:]

    def _pack(self, start: int, piece: Sequence[BaseNode]) -> bool:
        """Vectors into their rows of the array; whether all were numbers, as many as a row holds."""
        array, stride = self._vectors.data, self._vectors.strides[0]
        pack_into = struct.Struct(f"{self._vectors.shape[1]}f").pack_into
        try:
            for row, node in enumerate(piece, start):
                embedding: Any = node.embedding
                pack_into(array, row * stride, *embedding)
        except (struct.error, OverflowError, TypeError):
            return False
        return True


def _each(nodes: Any) -> Iterator[BaseNode]:
    """The nodes of an iterable, or the one alone; what is no node raises with its place."""
    if not isinstance(nodes, (Iterable, BaseNode)):
        raise ArgumentTypeError(argument="nodes", expected="a list of nodes", got=nodes)
    for i, node in enumerate([nodes] if isinstance(nodes, BaseNode) else nodes):
        if not isinstance(node, BaseNode):
            expected = "a node, such as a retriever's answers have as their .node"
            raise ArgumentTypeError(argument=f"nodes[{i}]", expected=expected, got=node)
        yield node
