"""How can a collection be configured?

A collection's configuration is given once, at creation, and stored with it. The keys are
Chroma's, so `configuration={"hnsw": {"space": "cosine"}}` and the older
`metadata={"hnsw:space": "cosine"}` both work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar
from uuid import UUID

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vicinal._settings import Settings
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, shown
from vicinal.types import DEFAULT_DATABASE, DEFAULT_TENANT, Space

__all__ = [
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "Analysis",
    "CollectionConfiguration",
    "ConfigurationChanges",
    "ExpiryConfiguration",
    "HnswConfiguration",
    "Settings",
    "parse_changes",
    "parse_configuration",
]

_Part = TypeVar("_Part", bound=BaseModel)

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

_NEIGHBORS_MAX, _EF_MAX, _THREADS_MAX = 10_000, 2**31 - 1, 1024
"""What hnswlib takes; of the threads, more than a machine has."""

_PLACES = ("hnsw", "spann", "embedding_function", "expiry", "text")
"""The keys of a configuration; those of `CollectionConfiguration.to_json`."""

_EF_SEARCH, _EF_RECORDS, _EF_GROWTH, _EF_LEAST = 100, 50_000, 0.75, 128
"""Where `ef_search` is not given: its value for so many records, how it grows with them, and the least."""


class HnswConfiguration(BaseModel):
    """The distance and the graph. Malkov & Yashunin, 2018, define M (`max_neighbors`) and ef."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    space: Space = "l2"
    ef_construction: int = Field(200, ge=1, le=_EF_MAX)
    """Candidates kept while a row is linked: larger builds slower and finds more."""
    ef_search: int | None = Field(None, ge=1, le=_EF_MAX)
    """Candidates kept while a query walks the graph: larger is slower and finds more. None: as many as the
    number of records asks for, and what they look like; see `ef`."""
    max_neighbors: int = Field(24, ge=2, le=_NEIGHBORS_MAX)
    """Links of a row on each layer (M)."""
    num_threads: int | None = Field(None, ge=1, le=_THREADS_MAX)
    """Threads that build the graph in the background; None leaves one core free."""
    batch_size: int = Field(100, ge=1)
    """Accepted for Chroma's sake; Vicinal needs no such setting."""
    sync_threshold: int = Field(1000, ge=1)
    """Accepted for Chroma's sake; every write is durable when it returns."""
    resize_factor: float = Field(1.2, ge=1)
    """Accepted for Chroma's sake; the graph doubles when it is full."""

    def ef(self, records: int, factor: int = 1) -> int:
        """`ef_search`; where it is not given, what finds about 98 of 100 neighbours among so many records of
        real text, times what other vectors need.

        A larger graph leads more walks astray: docs/decisions/0012-ef-grows-with-the-collection.md; and
        0019-walks-are-tried-out.md.
        """
        if self.ef_search is not None:
            return self.ef_search
        return int(factor * max(_EF_LEAST, _EF_SEARCH * (records / _EF_RECORDS) ** _EF_GROWTH))


class HnswChanges(BaseModel):
    """What `modify` may change of the distance and the graph; None leaves a value as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    ef_search: int | None = Field(None, ge=1, le=_EF_MAX)
    num_threads: int | None = Field(None, ge=1, le=_THREADS_MAX)
    batch_size: int | None = Field(None, ge=1)
    sync_threshold: int | None = Field(None, ge=1)
    resize_factor: float | None = Field(None, ge=1)


class ConfigurationChanges(BaseModel):
    """What `modify` may change of a configuration; None leaves a value as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hnsw: HnswChanges
    embedding_function: dict[str, Any] | None = None
    """As `CollectionConfiguration` has it."""


class ExpiryConfiguration(BaseModel):
    """Records that cease to be there; fixed when the collection is created."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    key: str = Field("expires_at", min_length=1, pattern=r"^[^#$]")
    """The metadata key that says when: a datetime, a date (its midnight UTC) or seconds since 1970."""
    ttl_s: float | None = Field(None, gt=0, allow_inf_nan=False)
    """How many seconds a record lives that is added or upserted without that key; None: for ever."""


class Analysis(BaseModel):
    """How a collection's text becomes terms; stored with it, because both sides must do the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str | None = "english"
    """Whose stop words and stemmer: a Snowball language; None leaves words as they are."""
    stemmer: Literal["light", "snowball"] | None = "light"
    """`light`: Harman's S stemmer, English only, built in. `snowball`: needs `vicinal[text]`."""
    stop_words: tuple[str, ...] | None = None
    """Words to leave out; None: the language's own list, which only English has."""
    split_identifiers: bool = True
    """Cut names as code writes them, and keep them whole too."""
    ngrams: int = Field(default=2, ge=1, le=4)
    """Characters in a term of scripts without spaces between words."""
    function: str | None = None
    """The name of a registered function that replaces everything above."""


class CollectionConfiguration(BaseModel):
    """All that is stored of a collection's configuration."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    hnsw: HnswConfiguration = Field(default_factory=lambda: HnswConfiguration.model_validate({}))
    embedding_function: dict[str, Any] | None = None
    """`{"type": "known", "name": …, "config": {…}}`, `{"type": "legacy"}`, or None for no function."""
    expiry: ExpiryConfiguration | None = None
    """None, or when records expire."""
    index_schema: dict[str, Any] | None = None
    """`Schema.serialize_to_json()`, or None for one that indexes everything."""
    text: Analysis | None = None
    """How documents become words; None: the defaults, and no index of words before the first question."""
    lineage: UUID | None = None
    """For a fork: the first of its family, from which it was forked, directly or by way of other forks."""

    def changed(self, changes: ConfigurationChanges) -> CollectionConfiguration:
        """This configuration with those changes."""
        hnsw = self.hnsw.model_copy(update=changes.hnsw.model_dump(exclude_none=True))
        function = changes.embedding_function or self.embedding_function
        return self.model_copy(update={"hnsw": hnsw, "embedding_function": function})

    def to_json(self) -> dict[str, Any]:
        """The shape that Chroma's `configuration_json` has, and `expiry` when records expire."""
        hnsw = self.hnsw.model_dump(exclude={"num_threads", "batch_size"})
        json: dict[str, Any] = {"hnsw": hnsw, "spann": None, "embedding_function": self.embedding_function}
        if self.expiry is not None:
            json["expiry"] = self.expiry.model_dump()
        if self.text is not None:
            json["text"] = self.text.model_dump(mode="json")
        return json


def parse_configuration(
    configuration: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
    default_space: Space,
    embedding_function: dict[str, Any] | None,
) -> CollectionConfiguration:
    """Read a caller's configuration; what it does not name is left to the `hnsw:*` metadata keys."""
    _check_places(configuration or {})
    named, older = _hnsw_of(configuration or {}), _hnsw_of_metadata(metadata or {})
    if "space" in older and named.get("space") is None:
        named.pop("space", None)
    hnsw = {"space": default_space, **older, **named}
    try:
        parsed = HnswConfiguration.model_validate(hnsw)
    except ValidationError as error:
        raise InvalidArgumentError(_explain(error, HnswConfiguration)) from None
    given = configuration or {}
    return CollectionConfiguration(
        hnsw=parsed,
        embedding_function=embedding_function,
        expiry=parse_expiry(given.get("expiry")),
        text=parse_text(given.get("text")),
    )


def _check_places(configuration: Mapping[str, Any]) -> None:
    """Refuse what is no place of a configuration: passed over, it would leave another distance, or records
    that never expire."""
    for key in configuration:
        if key in HnswConfiguration.model_fields or key in _LEGACY_KEYS:
            place = f"configuration['hnsw']['{_LEGACY_KEYS.get(key, key)}']"
            raise InvalidArgumentError(f"configuration: unknown key {key!r}; its place is {place}")
        if key not in _PLACES:
            known = ", ".join(f"`{name}`" for name in _PLACES)
            raise InvalidArgumentError(f"configuration: unknown key {key!r}, expected one of {known}")


def check_schema_against(metadata: Mapping[str, Any] | None, configuration: Mapping[str, Any]) -> None:
    """Refuse `hnsw:*` metadata keys that contradict the configuration that a schema asks for."""
    fixed, older = _hnsw_of(configuration), metadata or {}
    for legacy, key in _LEGACY_KEYS.items():
        if legacy in older:
            _check_fixed(fixed, key, f"metadata {legacy}", older[legacy])


def beside_schema(configuration: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with what a schema's vector index asks for; it may say what the schema leaves open."""
    given, fixed = _hnsw_of(configuration), _hnsw_of(asked)
    for key, value in given.items():
        _check_fixed(fixed, key, f"configuration {key}", value)
    others = {key: value for key, value in configuration.items() if key != "spann"}
    return {**others, "hnsw": {**given, **fixed}}


def _check_fixed(fixed: Mapping[str, Any], key: str, place: str, value: Any) -> None:
    """Refuse a value, said in some place, that is another than a schema's vector index has fixed."""
    if fixed.get(key, value) != value:
        raise InvalidArgumentError(
            "Cannot set both collection config and schema simultaneously: the schema's vector index has "
            f"{key}={fixed[key]!r}, the {place}={value!r}. Leave one of them out"
        )


def parse_text(given: Any) -> Analysis | None:
    """Read `configuration["text"]`: None or False for none, True for the defaults, or a dict."""
    return _parsed(Analysis, "text", given)


def parse_expiry(given: Any) -> ExpiryConfiguration | None:
    """Read `configuration["expiry"]`: None or False for none, True for the defaults, or a dict."""
    expiry = _parsed(ExpiryConfiguration, "expiry", given)
    if expiry is not None and expiry.key == "chroma:document":  # the model reads what earlier builds took
        raise InvalidArgumentError(
            f"configuration['expiry']['key']: {expiry.key!r} cannot be used; metadata may not have this key"
        )
    return expiry


def _parsed(model: type[_Part], place: str, given: Any) -> _Part | None:
    """What stands in one place of a configuration, as a model of it."""
    if given is None or given is False:
        return None
    if isinstance(given, model):
        return given
    settings: Mapping[Any, Any] = {} if given is True else given
    if not isinstance(settings, Mapping):
        raise ArgumentTypeError(argument=f"configuration['{place}']", expected="a dict or True", got=given)
    try:
        return model.model_validate(
            {key: v.item() if isinstance(v, np.generic) else v for key, v in settings.items()}
        )
    except ValidationError as error:
        first = error.errors()[0]
        key, problem = ".".join(map(str, first["loc"])), first["msg"]
        if first["type"] == "extra_forbidden":
            problem = "there are only " + ", ".join(f"`{name}`" for name in model.model_fields)
        text = f"configuration['{place}']['{key}']: {problem}, got {shown(first['input'])}"
        raise InvalidArgumentError(text) from None


def _hnsw_of_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in metadata.items() if key.startswith("hnsw:")}
    unknown = [key for key in given if key not in _LEGACY_KEYS]
    if unknown:
        raise InvalidArgumentError(
            f"metadata: unknown key `{unknown[0]}`; of those that begin with hnsw: there are "
            + ", ".join(f"`{key}`" for key in _LEGACY_KEYS)
        )
    return {_LEGACY_KEYS[key]: value for key, value in given.items()}


def parse_changes(configuration: Mapping[str, Any] | None) -> ConfigurationChanges | None:
    """Read the `configuration` of a `modify`, in which a function is described as it is stored.

    What shapes the graph or the distances is refused, and every other key: nothing is ignored.
    """
    if configuration is None:
        return None
    if not isinstance(configuration, Mapping):
        raise ArgumentTypeError(argument="configuration", expected="a dict", got=configuration)
    if configuration.get("spann") is not None:
        raise InvalidArgumentError("configuration['spann']: this collection's index is HNSW; change 'hnsw'")
    for key in configuration:
        if key in ("expiry", "text"):
            raise InvalidArgumentError(
                f"configuration[{key!r}] cannot be changed: it is fixed when a collection is created. Create "
                "a new collection and add the records to it"
            )
        if key not in ("hnsw", "spann", "embedding_function"):
            raise InvalidArgumentError(
                f"configuration: unknown key {key!r}; modify changes 'hnsw', as in "
                "{'hnsw': {'ef_search': 200}}, and 'embedding_function'"
            )
    try:
        hnsw = HnswChanges.model_validate(_hnsw_of(configuration))
    except ValidationError as error:
        raise InvalidArgumentError(_explain(error, HnswChanges)) from None
    return ConfigurationChanges(hnsw=hnsw, embedding_function=configuration.get("embedding_function"))


def _hnsw_of(configuration: Mapping[str, Any]) -> dict[str, Any]:
    given, spann = _dict_in(configuration, "hnsw"), _dict_in(configuration, "spann")
    if spann and given:
        raise InvalidArgumentError("hnsw and spann cannot both be provided")
    if "space" in spann:  # as in Chroma's local clients: hnsw of that space
        given = {"space": spann["space"]}
    given = {key: value for key, value in given.items() if value is not None or key == "space"}
    return {key: v.item() if isinstance(v, np.generic) else v for key, v in given.items()}


def _dict_in(configuration: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """What stands in a place of a configuration; nothing where that is None."""
    given = configuration.get(place)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(argument=f"configuration['{place}']", expected="a dict", got=given)
    return given


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Pydantic's findings as one sentence of ours."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden" and key in HnswConfiguration.model_fields:
        changeable = ", ".join(f"`{name}`" for name in model.model_fields)
        return (
            f"configuration['hnsw']: `{key}` is fixed when a collection is created; only {changeable} can "
            "be changed. Create a new collection and add the records to it"
        )
    if first["type"] == "extra_forbidden":
        known = ", ".join(f"`{name}`" for name in model.model_fields)
        return f"configuration['hnsw']: unknown field `{key}`, expected one of {known}"
    if key == "space":
        return (
            f"configuration['hnsw']: unknown variant `{first['input']}`, expected one of `l2`, `cosine`, `ip`"
        )
    return f"configuration['hnsw']['{key}']: {first['msg']}, got {shown(first['input'])}"
