"""Which kinds of values may be filtered on, and what is embedded from where?

Chroma's Schema API, as far as it makes sense in one process. Vicinal needs no index to be told of: every
key can be filtered on, and its columns are made when a filter first asks. A schema therefore takes away
(an index that is deleted makes filters on that key and kind an error, as it does in Chroma), configures
the vector index, and says which keys hold sparse vectors. It is fixed when the collection is created.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from vicinal._filter.ast import (
    DOCUMENT,
    ID,
    Among,
    Compare,
    Document,
    Holds,
    Kind,
    Leaf,
    Like,
    Node,
    Regex,
    leaves,
)
from vicinal._schema.configs import (
    BoolInvertedIndexConfig,
    Config,
    FloatInvertedIndexConfig,
    FtsIndexConfig,
    HnswIndexConfig,
    IntInvertedIndexConfig,
    SparseVectorIndexConfig,
    StringInvertedIndexConfig,
    VectorIndexConfig,
    key_name,
    mapping,
)
from vicinal._schema.tree import INDEX_CONFIGS, ValueTypes
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

EMBEDDING = "#embedding"
_SCALARS = (
    StringInvertedIndexConfig,
    IntInvertedIndexConfig,
    FloatInvertedIndexConfig,
    BoolInvertedIndexConfig,
)


class Schema:
    """Which indexes a collection's keys have: `defaults` for every key, `keys` for those with their own.

    At first scalars are indexed under every key, documents for `where_document`, and embeddings; sparse
    vectors are not. `create_index` and `delete_index` return the schema, so that calls can be chained.

    Example:
        >>> from vicinal import Schema, StringInvertedIndexConfig
        >>> schema = Schema().delete_index(StringInvertedIndexConfig(), key="body")
        >>> schema.keys["body"].string.string_inverted_index.enabled
        False
    """

    def __init__(self) -> None:
        self.defaults = ValueTypes()
        for config in (FtsIndexConfig, VectorIndexConfig, SparseVectorIndexConfig):
            self.defaults.put(config(), enabled=False)
        for switch in _SCALARS:
            self.defaults.put(switch(), enabled=True)
        self.keys: dict[str, ValueTypes] = {DOCUMENT: ValueTypes(), EMBEDDING: ValueTypes()}
        self.keys[DOCUMENT].put(FtsIndexConfig(), enabled=True)
        self.keys[DOCUMENT].put(StringInvertedIndexConfig(), enabled=False)
        self.keys[EMBEDDING].put(VectorIndexConfig(source_key=DOCUMENT), enabled=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.serialize_to_json() == other.serialize_to_json()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Schema(keys={sorted(self.keys)})"

    @property
    def vector_index(self) -> VectorIndexConfig:
        """How the embeddings are indexed."""
        index = self.keys.get(EMBEDDING, ValueTypes()).index(VectorIndexConfig)
        config: VectorIndexConfig = VectorIndexConfig() if index is None else index.config
        return config

    def create_index(self, config: Config | None = None, key: Any = None) -> Schema:
        """Turn an index on, for one key or, without a key, for all that have none of their own.

        A `VectorIndexConfig` takes no key, an `FtsIndexConfig` only "#document", a
        `SparseVectorIndexConfig` needs one, and there is at most one of it. Raises `InvalidArgumentError`.
        """
        name = self._checked("create", config, key)
        if isinstance(config, VectorIndexConfig):
            if name is not None:
                raise InvalidArgumentError(
                    "Vector index cannot be enabled on specific keys. Call "
                    "create_index(VectorIndexConfig(...)) without a key: a collection has one, for embeddings"
                )
            own = config.model_copy(update={"source_key": self.vector_index.source_key})
            self.defaults.put(config, enabled=False)
            self.keys.setdefault(EMBEDDING, ValueTypes()).put(own, enabled=True)
            return self
        if isinstance(config, FtsIndexConfig) and name != DOCUMENT:
            raise InvalidArgumentError(
                f"FTS index can only be enabled on {DOCUMENT} key: "
                f'create_index(FtsIndexConfig(), key="{DOCUMENT}")'
            )
        if isinstance(config, SparseVectorIndexConfig):
            self._check_sparse(config, name)
        return self._put(config, name, enabled=True)

    def delete_index(self, config: Config | None = None, key: Any = None) -> Schema:
        """Turn an index off, for one key or, without a key, for all that have none of their own.

        Filters on that kind of value are an error then. Vector indexes cannot be turned off. Raises
        `InvalidArgumentError`.
        """
        name = self._checked("delete", config, key)
        if isinstance(config, (VectorIndexConfig, SparseVectorIndexConfig)):
            kind = "vector" if isinstance(config, VectorIndexConfig) else "sparse vector"
            raise InvalidArgumentError(f"Deleting {kind} index is not currently supported.")
        if isinstance(config, FtsIndexConfig) and name != DOCUMENT:
            raise InvalidArgumentError(f"Deleting FTS index is only supported on {DOCUMENT} key.")
        return self._put(config, name, enabled=False)

    def serialize_to_json(self) -> dict[str, Any]:
        """The JSON that Chroma writes; functions stand in it by name and configuration."""
        keys = {key: indexes.to_json() for key, indexes in self.keys.items()}
        return {"defaults": self.defaults.to_json(), "keys": keys}

    @classmethod
    def deserialize_from_json(cls, json: Mapping[str, Any]) -> Schema:
        """What `serialize_to_json` described. Raises `InvalidArgumentError` for what it cannot have."""
        made = cls.__new__(cls)
        json = copy.deepcopy(mapping(json, "schema"))
        made.defaults = ValueTypes.from_json(json.get("defaults"), "defaults")
        keys = mapping(json.get("keys"), "keys")
        made.keys = {key: ValueTypes.from_json(given, f"keys.{key}") for key, given in keys.items()}
        return made

    def configuration(self) -> dict[str, Any]:
        """The `configuration` of `create_collection` that the vector index asks for."""
        index = self.vector_index
        hnsw = {} if index.hnsw is None else index.hnsw.to_json()
        if index.space is not None:
            hnsw["space"] = index.space
        if "embedding_function" in index.model_fields_set:
            return {"hnsw": hnsw, "embedding_function": index.embedding_function}
        return {"hnsw": hnsw}

    def _put(self, config: Any, key: str | None, *, enabled: bool) -> Schema:
        (self.defaults if key is None else self.keys.setdefault(key, ValueTypes())).put(config, enabled)
        return self

    def _check_sparse(self, config: SparseVectorIndexConfig, key: str | None) -> None:
        if key is None:
            raise InvalidArgumentError(
                "Sparse vector index must be created on a specific key: "
                'create_index(SparseVectorIndexConfig(...), key="your_key")'
            )
        if config.source_key is not None and config.embedding_function is None:
            raise InvalidArgumentError(
                "If source_key is provided then embedding_function must also be provided: there is no "
                f"default one for sparse vectors. Got {config!r}"
            )
        for other, indexes in self.keys.items():
            index = indexes.index(SparseVectorIndexConfig)
            if other != key and index is not None and index.enabled:
                raise InvalidArgumentError(
                    f"Cannot enable sparse vector index on key '{key}': one is already enabled on key "
                    f"'{other}'. Only one sparse vector index is allowed per collection."
                )

    @staticmethod
    def _checked(verb: str, config: Any, key: Any) -> str | None:
        """The key's name, when the two of them can mean something."""
        name = None if key is None else key_name(key)
        does = "enable" if verb == "create" else "disable"
        if config is None and name is None:
            scope = "all index types globally" if verb == "create" else "all indexes"
            raise InvalidArgumentError(f"Cannot {does} {scope}. Must specify either config or key.")
        if name == EMBEDDING:
            raise InvalidArgumentError(
                f"Cannot {verb} index on special key '{name}'; Cannot modify {EMBEDDING}. Give "
                "VectorIndexConfig(...) without a key to configure the vector index"
            )
        if name == DOCUMENT and not isinstance(config, FtsIndexConfig):
            raise InvalidArgumentError(
                f"Cannot {verb} index on special key '{name}' with this config. Only FtsIndexConfig is "
                "allowed there."
            )
        if name is not None and name.startswith("#") and name != DOCUMENT:
            raise InvalidArgumentError(
                f"key cannot begin with '#': got '{name}', and such keys are the system's own"
            )
        if config is None:
            raise InvalidArgumentError(
                f"Cannot {does} all index types for key '{name}'. Please specify a specific index "
                "configuration."
            )
        if type(config) not in INDEX_CONFIGS:
            raise ArgumentTypeError(argument="config", expected="an index configuration", got=config)
        return name


def schema_of(stored: Mapping[str, Any] | None, hnsw: Mapping[str, Any], function: Any) -> Schema:
    """A collection's schema: the one that it was created with, or the usual one, and its vector index."""
    schema = Schema() if stored is None else Schema.deserialize_from_json(without_function(stored))
    graph = {key: value for key, value in hnsw.items() if key in HnswIndexConfig.model_fields}
    space, hnsw_config = hnsw.get("space"), HnswIndexConfig(**graph)
    return schema.create_index(VectorIndexConfig(space=space, embedding_function=function, hnsw=hnsw_config))


def without_function(json: Mapping[str, Any]) -> dict[str, Any]:
    """A schema's JSON without the function of the embeddings, which a collection stores for itself.

    Reading the schema then makes no function: that may need a package, a key or a model.
    """
    changed = copy.deepcopy(dict(json))
    for indexes in (changed.get("defaults"), (changed.get("keys") or {}).get(EMBEDDING)):
        index = ((indexes or {}).get("float_list") or {}).get("vector_index") or {}
        (index.get("config") or {}).pop("embedding_function", None)
    return changed


# --- sparse vectors ----------------------------------------------------------------------------


def sparse_keys(schema: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Metadata key → the configuration of its sparse vectors, for keys that hold some by a schema's JSON."""
    found = {}
    for key, indexes in ({} if schema is None else schema["keys"]).items():
        index = (indexes.get("sparse_vector") or {}).get("sparse_vector_index")
        if index is not None and index["enabled"]:
            found[key] = index["config"]
    return found


def sparse_functions(schema: Schema | None, stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """Metadata key → the function that a caller's schema has for it, if it is the collection's, too."""
    held, functions = sparse_keys(stored), {}
    for key, indexes in ({} if schema is None else schema.keys).items():
        index = indexes.index(SparseVectorIndexConfig)
        if index is not None and index.config.embedding_function is not None and key in held:
            described = index.config.to_json()["embedding_function"]
            if described == held[key].get("embedding_function"):
                functions[key] = index.config.embedding_function
    return functions


def sparse_sources(schema: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Metadata key → (what it is embedded from, by which described function), from a schema's JSON."""
    return {
        key: (config["source_key"], config["embedding_function"])
        for key, config in sparse_keys(schema).items()
        if config.get("source_key") is not None
    }


# --- filters -----------------------------------------------------------------------------------

_BY_KIND = {
    Kind.STRING: ("string", "string_inverted_index", "Str"),
    Kind.INT: ("int", "int_inverted_index", "Int"),
    Kind.FLOAT: ("float", "float_inverted_index", "Float"),
    Kind.BOOL: ("bool", "bool_inverted_index", "Bool"),
}


def check_filter(schema: Mapping[str, Any], node: Node) -> None:
    """Refuse a filter on what the schema's JSON does not index. Raises `InvalidArgumentError`."""
    for leaf in leaves(node):
        _check_leaf(schema, leaf)


def _check_leaf(schema: Mapping[str, Any], leaf: Leaf) -> None:
    if isinstance(leaf, Document):
        if not _enabled(schema, DOCUMENT, "string", "fts_index"):
            raise InvalidArgumentError(
                "Cannot filter using full-text search because FTS indexing is disabled in the collection's "
                "schema"
            )
    elif leaf.key != ID:
        for kind in _kinds(leaf):
            value, index, label = _BY_KIND[kind]
            if not _enabled(schema, leaf.key, value, index):
                raise InvalidArgumentError(
                    f"Cannot filter using metadata key '{leaf.key}' with type '{label}' because indexing is "
                    "disabled in the collection's schema"
                )


def _kinds(leaf: Leaf) -> list[Kind]:
    """The kinds of scalars that a leaf compares with."""
    if isinstance(leaf, (Like, Regex)):
        return [Kind.STRING]
    if isinstance(leaf, Compare):
        kinds = [leaf.operand.kind]
    else:
        kinds = [kind for kind, _ in leaf.operands.groups] if isinstance(leaf, (Among, Holds)) else []
    return [kind for kind in kinds if kind in _BY_KIND]


def _enabled(schema: Mapping[str, Any], key: str, value: str, index: str) -> bool:
    """What the key says of this index, or the defaults when it says nothing."""
    for indexes in (schema["keys"].get(key) or {}, schema["defaults"]):
        entry = (indexes.get(value) or {}).get(index)
        if entry is not None:
            return bool(entry["enabled"])
    return True
