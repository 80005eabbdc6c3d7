"""How can a collection be configured?

A collection's configuration is given once, at creation, and stored with it. The keys and their
defaults are Chroma's, so `configuration={"hnsw": {"space": "cosine"}}` and the older
`metadata={"hnsw:space": "cosine"}` both work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vicinal.errors import ArgumentTypeError, InvalidArgumentError
from vicinal.types import Space

_LEGACY_KEYS = {
    "hnsw:space": "space",
    "hnsw:construction_ef": "ef_construction",
    "hnsw:search_ef": "ef_search",
    "hnsw:M": "max_neighbors",
    "hnsw:num_threads": "num_threads",
    "hnsw:batch_size": "batch_size",
    "hnsw:sync_threshold": "sync_threshold",
    "hnsw:resize_factor": "resize_factor",
}


class HnswConfiguration(BaseModel):
    """The distance and the graph. Malkov & Yashunin, 2018, define M (`max_neighbors`) and ef."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    space: Space = "l2"
    ef_construction: int = Field(100, ge=1)
    """Candidates kept while a row is linked: larger builds slower and finds more."""
    ef_search: int = Field(100, ge=1)
    """Candidates kept while a query walks the graph: larger is slower and finds more."""
    max_neighbors: int = Field(16, ge=2)
    """Links of a row on each layer (M)."""
    num_threads: int | None = Field(None, ge=1)
    """Threads that build the graph in the background; None leaves one core free."""
    batch_size: int = Field(100, ge=1)
    """Accepted for Chroma's sake; Vicinal needs no such setting."""
    sync_threshold: int = Field(1000, ge=1)
    """Accepted for Chroma's sake; every write is durable when it returns."""
    resize_factor: float = Field(1.2, gt=1)
    """Accepted for Chroma's sake; the graph doubles when it is full."""


class CollectionConfiguration(BaseModel):
    """All that is stored of a collection's configuration."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    hnsw: HnswConfiguration = Field(default_factory=lambda: HnswConfiguration.model_validate({}))
    embedding_function: dict[str, Any] | None = None
    """`{"type": "known", "name": …, "config": {…}}`, `{"type": "legacy"}`, or None for no function."""

    def to_json(self) -> dict[str, Any]:
        """The shape that Chroma's `configuration_json` has."""
        hnsw = self.hnsw.model_dump(exclude={"num_threads", "batch_size"})
        return {"hnsw": hnsw, "spann": None, "embedding_function": self.embedding_function}


def parse_configuration(
    configuration: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
    default_space: Space,
    embedding_function: dict[str, Any] | None,
) -> CollectionConfiguration:
    """Read a caller's configuration, or, when there is none, the older `hnsw:*` metadata keys."""
    if configuration is not None:
        given = configuration.get("hnsw") or {}
        if not isinstance(given, Mapping):
            raise ArgumentTypeError(argument="configuration['hnsw']", expected="a dict", got=given)
        hnsw = {key: v.item() if isinstance(v, np.generic) else v for key, v in given.items()}
    else:
        hnsw = {_LEGACY_KEYS[key]: value for key, value in (metadata or {}).items() if key in _LEGACY_KEYS}
    hnsw.setdefault("space", default_space)
    try:
        parsed = HnswConfiguration.model_validate(hnsw)
    except ValidationError as error:
        raise InvalidArgumentError(_explain(error)) from None
    return CollectionConfiguration(hnsw=parsed, embedding_function=embedding_function)


def _explain(error: ValidationError) -> str:
    """Pydantic's findings as one sentence of ours."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = ", ".join(f"`{name}`" for name in HnswConfiguration.model_fields)
        return f"configuration['hnsw']: unknown field `{key}`, expected one of {known}"
    if key == "space":
        return (
            f"configuration['hnsw']: unknown variant `{first['input']}`, expected one of `l2`, `cosine`, `ip`"
        )
    return f"configuration['hnsw']['{key}']: {first['msg']}, got {first['input']!r}"
