"""Which indexes can be asked for, and with which settings?

One class for each of Chroma's index configurations. An unknown setting is an error of ours, not pydantic's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vicinal._filter import DOCUMENT
from vicinal.embedding import DefaultEmbeddingFunction, registry
from vicinal.embedding.sparse import build_sparse, register_sparse_embedding_function
from vicinal.errors import (
    ArgumentTypeError,
    EmbeddingFunctionError,
    InvalidArgumentError,
    shown,
)
from vicinal.search import Key
from vicinal.types import Space


def key_name(key: Any) -> str:
    """A key as text: a str, or an object that has it as its `name`, as the Search API's keys do."""
    name = key if isinstance(key, str) else getattr(key, "name", None)
    if not isinstance(name, str):
        raise ArgumentTypeError(argument="key", expected="a str or a Key", got=key)
    return name


def mapping(json: Any, place: str) -> Mapping[str, Any]:
    """A part of a schema's JSON, empty where it is None; `InvalidArgumentError` where it is no object."""
    if json is not None and not isinstance(json, Mapping):
        raise InvalidArgumentError(f"{place}: expected a JSON object, got {shown(json)}")
    return json or {}


class Config(BaseModel):
    """An index's settings."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            first, name = error.errors()[0], type(self).__name__
            if first["type"] == "extra_forbidden":
                known = ", ".join(type(self).model_fields) or "none"
                extra = first["loc"][0]
                problem = (
                    f"'{extra}' is not a valid field for {name}; no extra field is permitted beside {known}"
                )
            else:
                place = ".".join([name, *map(str, first["loc"])])
                problem = (
                    f"{place}: {first['msg'].removeprefix('Value error, ')}, got {shown(first['input'])}"
                )
            raise InvalidArgumentError(problem) from None

    def to_json(self) -> dict[str, Any]:
        """The settings that were given, as JSON."""
        return self.model_dump(exclude_none=True)

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Config:
        """What `to_json` described."""
        return cls(**json)


class Switch(Config):
    """An index that is on or off, and nothing else."""


class FtsIndexConfig(Switch):
    """Filters on the text of documents (`where_document`)."""


class StringInvertedIndexConfig(Switch):
    """Filters on strings."""


class IntInvertedIndexConfig(Switch):
    """Filters on integers."""


class FloatInvertedIndexConfig(Switch):
    """Filters on floats."""


class BoolInvertedIndexConfig(Switch):
    """Filters on bools."""


class HnswIndexConfig(Config):
    """The graph; what each value means stands in `vicinal.config`."""

    ef_construction: int | None = None
    max_neighbors: int | None = None
    ef_search: int | None = None
    num_threads: int | None = None
    batch_size: int | None = None
    sync_threshold: int | None = None
    resize_factor: float | None = None


class SpannIndexConfig(Config):
    """The index of Chroma's cloud: accepted and kept; here the graph does its work."""

    search_nprobe: int | None = None
    write_nprobe: int | None = None
    ef_construction: int | None = None
    ef_search: int | None = None
    max_neighbors: int | None = None
    reassign_neighbor_count: int | None = None
    split_threshold: int | None = None
    merge_threshold: int | None = None


class Embedding(Config):
    """An index whose vectors may come from an embedding function."""

    source_key: str | Key | None = None

    @field_validator("source_key", mode="before")
    @classmethod
    def _source(cls, given: Any) -> Any:
        if given is None:
            return None
        try:
            name = key_name(given)
        except ArgumentTypeError:
            raise ValueError("source_key must be str or Key") from None
        if name.startswith("#") and name != DOCUMENT:
            raise ValueError(f"source_key cannot begin with '#', except {DOCUMENT!r}")
        return name

    @field_validator("embedding_function", mode="before", check_fields=False)
    @classmethod
    def _function(cls, given: Any) -> Any:
        if given is not None and (isinstance(given, type) or not callable(given)):
            raise ValueError("must be a callable or None")
        return given

    def to_json(self) -> dict[str, Any]:
        """The settings, with the function by name and configuration."""
        json = self.model_dump(exclude_none=True, exclude={"embedding_function"})
        json["embedding_function"] = self._describe(getattr(self, "embedding_function", None))
        return json

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Config:
        """What `to_json` described; a function that cannot be made here becomes None."""
        described = mapping(json.get("embedding_function"), f"{cls.__name__}.embedding_function")
        if described.get("type") == "known" and not isinstance(described.get("name"), str):
            raise InvalidArgumentError(f"{cls.__name__}.embedding_function: a name is missing in {described}")
        try:
            function = cls._build(dict(described))
        except (EmbeddingFunctionError, ImportError):
            function = None
        return cls(**{**json, "embedding_function": function})

    @staticmethod
    def _describe(function: Any) -> dict[str, Any]:
        return registry.describe(function) or {"type": "legacy"}

    @staticmethod
    def _build(description: dict[str, Any] | None) -> Any:
        return registry.build(description)


class VectorIndexConfig(Embedding):
    """The index of the embeddings: distance, function and graph."""

    space: Space | None = None
    embedding_function: Any = Field(default_factory=DefaultEmbeddingFunction)
    hnsw: HnswIndexConfig | None = None
    spann: SpannIndexConfig | None = None

    def to_json(self) -> dict[str, Any]:
        """The settings; a space that was not given is the function's."""
        json = super().to_json()
        if self.space is None and json["embedding_function"]["type"] == "known":
            json["space"] = registry.default_space(self.embedding_function)
        return json


class SparseVectorIndexConfig(Embedding):
    """A metadata key that holds sparse vectors, and the function that fills it from `source_key`."""

    embedding_function: Any = None
    bm25: bool | None = None
    algorithm: Any = None

    @staticmethod
    def _describe(function: Any) -> dict[str, Any]:
        if function is None:
            return {"type": "unknown"}
        try:
            name, config = function.name(), function.get_config()
        except (AttributeError, NotImplementedError, TypeError):
            raise InvalidArgumentError(
                f"SparseVectorIndexConfig.embedding_function: {function!r} has no name() and get_config() by "
                "which the collection could find it again"
            ) from None
        description = {"type": "known", "name": name, "config": registry.as_json(name, config or {})}
        getattr(function, "validate_config", lambda _: None)(description["config"])
        register_sparse_embedding_function(type(function))
        return description

    @staticmethod
    def _build(description: dict[str, Any] | None) -> Any:
        return build_sparse(description)
