"""How does LlamaIndex use one of Vicinal's embedding functions?

A model is written down with its function as a collection remembers it, by name and configuration: that
tells one model from another in a pipeline's cache, and builds the function again. Where it cannot be
built again this raises; no model ever comes back with another function than it had.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import (
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from vicinal.embedding import DefaultEmbeddingFunction
from vicinal.embedding.protocol import embed
from vicinal.embedding.registry import build, describe
from vicinal.errors import ArgumentTypeError, EmbeddingFunctionError

if TYPE_CHECKING:
    from typing_extensions import Self  # typing's came with Python 3.11

BATCH_SIZE = 256
"""Texts a call; LlamaIndex's own default of 10 is made for requests over a network."""

_KEY = "embedding_function"
"""Of the function in a dictionary of the model."""


class VicinalEmbedding(BaseEmbedding):
    """A LlamaIndex embedding model around an embedding function of Vicinal's.

    Args:
        function: Any callable from a list of texts to as many vectors; its `embed_query`, if it has
            one, embeds queries. Left out: Vicinal's default function, which works offline
            (`pip install "vicinal[wordllama]"`).
        **fields: Those of `BaseEmbedding`, such as `embed_batch_size` and `callback_manager`. `model_name`
            is the function's name, or where it is defined, unless given.

    Dictionaries and pickles hold the function's name and `get_config()`, so that it can be built again;
    pickles hold the function itself where that can be pickled. For any other function
    `from_dict(data, function=…)` takes it again.
    """

    _function: Callable[[list[str]], Any] = PrivateAttr()

    def __init__(self, function: Callable[[list[str]], Any] | None = None, **fields: Any) -> None:
        described, description = _KEY in fields, fields.pop(_KEY, None)
        used: Any = function
        if function is None:  # as model_validate() of a dictionary has it
            used = _built(description) if described else DefaultEmbeddingFunction()
        if not callable(used):
            expected = "a function from texts to vectors"
            raise ArgumentTypeError(argument="function", expected=expected, got=used)
        super().__init__(**{"model_name": _name(used), "embed_batch_size": BATCH_SIZE, **fields})
        self._function = used

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises the model."""
        return "VicinalEmbedding"

    @model_serializer(mode="wrap")
    def custom_model_dump(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """The fields and what tells the function from others: pipelines cache by it."""
        return {**super().custom_model_dump(handler, info), _KEY: _description(self._function)}

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """The model that `to_dict` wrote down, or with `function` the same model around that one.

        Raises `EmbeddingFunctionError` when the function cannot be built from what `data` says.
        """
        fields = {**data, **kwargs}
        fields.pop("class_name", None)
        description, function = fields.pop(_KEY, None), fields.pop("function", None)
        return cls(_built(description) if function is None else function, **fields)

    def __getstate__(self) -> dict[Any, Any]:
        """The fields, and the function or what it can be built from."""
        copy = self.model_copy()
        copy._function = _portable(self._function)
        return super(VicinalEmbedding, copy).__getstate__()

    def __setstate__(self, state: dict[Any, Any]) -> None:
        function = state["__pydantic_private__"]["_function"]
        built = _built(function) if isinstance(function, dict) else function
        VicinalEmbedding.__init__(self, built, **state["__dict__"])

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return embed(self._function, texts, query=False).tolist() if texts else []

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        [vector] = embed(self._function, [query], query=True).tolist()
        return vector  # type: ignore[no-any-return]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)


def _name(function: Any) -> str:
    """The function's own name, or where it or its class is defined."""
    try:
        name = function.name()
    except (AttributeError, NotImplementedError, TypeError):
        name = None
    return name if isinstance(name, str) else _place(function)


def _place(function: Any) -> str:
    defined = function if hasattr(function, "__qualname__") else type(function)
    return f"{defined.__module__}.{defined.__qualname__}"


def _description(function: Any) -> dict[str, Any]:
    """What a collection remembers of a function; of one that it cannot build again, what tells it apart."""
    try:
        remembered = describe(function)
    except EmbeddingFunctionError:  # its name is another class's, or its configuration is no JSON
        remembered = None
    if remembered is not None and remembered["type"] == "known":
        return remembered
    config, called = _said(function, "get_config"), _said(function, "name")
    apart = {"type": "legacy", "name": _place(function), "config": None if config is None else repr(config)}
    return {**apart, "called": called} if isinstance(called, str) else apart


def _said(function: Any, method: str) -> Any:
    """What a method of a function says; None of one that it does not have, or that raises."""
    try:
        said = getattr(function, method)()
    except Exception:  # noqa: BLE001 - whatever it is: as in a collection, such a function works
        return None
    return None if said is NotImplemented else said


def _portable(function: Any) -> Any:
    """What a pickle holds: the function, or the description of one that holds a connection or a lock."""
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        description = _description(function)
        if description["type"] == "known":
            return description
        raise EmbeddingFunctionError(
            f"The embedding function {_place(function)} cannot be pickled: {error}. Define it at the top of "
            "a module, or give its class name(), get_config() and build_from_config()"
        ) from error
    return function


def _built(description: dict[str, Any] | None) -> Any:
    """The function that was described, never another one."""
    name = (description or {}).get("name")
    try:
        function = build(description)
        reason = "only a class with name(), get_config() and build_from_config() can be built again"
    except EmbeddingFunctionError as error:
        function, reason = None, str(error)
    if function is None:
        raise EmbeddingFunctionError(
            f"The embedding function {name} of a VicinalEmbedding cannot be built again: {reason}. Give "
            "it to VicinalEmbedding(function) or to VicinalEmbedding.from_dict(data, function=…)"
        )
    return function
