"""What is a sparse embedding function?

A callable from a list of texts to as many `SparseVector`s: one component per term, most of them 0. Like
the dense ones it is stored by name and configuration, in a registry of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

import numpy as np

from vicinal.embedding.protocol import Input, called, with_retries
from vicinal.embedding.registry import built, name_of
from vicinal.errors import EmbeddingFunctionError
from vicinal.types import SparseVector, Vector

sparse_known_embedding_functions: dict[str, type[SparseEmbeddingFunction]] = {}
"""Every sparse function that can be stored, by name."""

_Class = TypeVar("_Class", bound="type[SparseEmbeddingFunction]")


class SparseEmbeddingFunction(Generic[Input]):
    """Base class of sparse embedding functions; override `__call__`, `name`, `get_config` and
    `build_from_config`."""

    def __call__(self, input: Input) -> list[SparseVector]:
        """Embed documents: one sparse vector per text."""
        raise NotImplementedError(f"{type(self).__name__} must implement __call__(self, input)")

    def embed_query(self, input: Input) -> list[SparseVector]:
        """Embed queries; models that treat queries unlike documents override this."""
        vectors: list[SparseVector] = called(self, input=input)
        return vectors

    @staticmethod
    def name() -> str:
        """The name under which collections remember this function; must be unique."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """What `build_from_config` needs to make an equal function, as JSON."""
        raise NotImplementedError

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> SparseEmbeddingFunction:
        """Make the function that `get_config` described."""
        raise NotImplementedError

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Raise when a configuration cannot be meant; asked before a schema remembers it."""

    def embed_with_retries(self, input: Input, **retry_kwargs: Any) -> list[SparseVector]:
        """Embed documents, again after each error, as the arguments of `tenacity.retry` say.

        Without arguments it never gives up, as in Chroma. Needs `vicinal[retries]`.
        """
        vectors: list[SparseVector] = with_retries(self, input, retry_kwargs)
        return vectors


@overload
def register_sparse_embedding_function(cls: _Class) -> _Class: ...
@overload
def register_sparse_embedding_function(cls: None = None) -> Callable[[_Class], _Class]: ...
def register_sparse_embedding_function(cls: _Class | None = None) -> _Class | Callable[[_Class], _Class]:
    """Class decorator, with or without parentheses: let collections that name this function find it.

    Raises `ArgumentTypeError` for what is no class with a `name()` that gives a str.
    """
    if cls is None:
        return register_sparse_embedding_function
    sparse_known_embedding_functions[name_of(cls)] = cls
    return cls


def build_sparse(description: dict[str, Any] | None) -> SparseEmbeddingFunction | None:
    """The function that a stored description names; None when it names none."""
    from vicinal.embedding import providers  # noqa: F401 - registers its own

    if description is None or description.get("type") != "known":
        return None
    cls = sparse_known_embedding_functions.get(description["name"])
    if cls is None:
        raise EmbeddingFunctionError(
            f"Sparse embedding function {description['name']} not found. Import the module that defines it, "
            "with @register_sparse_embedding_function on its class"
        )
    made: SparseEmbeddingFunction = built(
        cls,
        f"sparse embedding function {description['name']}",
        description.get("config") or {},
        "pass a schema with the function to get_or_create_collection()",
    )
    return made


def from_dense(vector: Vector) -> SparseVector:
    """The sparse form of a one-dimensional array."""
    indices = np.flatnonzero(vector)
    return SparseVector(indices.tolist(), vector[indices].tolist())
