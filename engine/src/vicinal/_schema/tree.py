"""Which indexes does a key have, by kind of value?

The attributes are Chroma's (`schema.keys["lang"].string.string_inverted_index.enabled`), and so is the
JSON, in which three kinds have other names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vicinal._schema.configs import (
    BoolInvertedIndexConfig,
    Config,
    FloatInvertedIndexConfig,
    FtsIndexConfig,
    IntInvertedIndexConfig,
    SparseVectorIndexConfig,
    StringInvertedIndexConfig,
    VectorIndexConfig,
    mapping,
)
from vicinal.errors import InvalidArgumentError, shown


@dataclass
class Index:
    """One index: whether it is on, and how it is configured."""

    enabled: bool
    config: Any


@dataclass
class StringIndexes:
    fts_index: Index | None = None
    string_inverted_index: Index | None = None


@dataclass
class FloatListIndexes:
    vector_index: Index | None = None


@dataclass
class SparseVectorIndexes:
    sparse_vector_index: Index | None = None


@dataclass
class IntIndexes:
    int_inverted_index: Index | None = None


@dataclass
class FloatIndexes:
    float_inverted_index: Index | None = None


@dataclass
class BoolIndexes:
    bool_inverted_index: Index | None = None


@dataclass
class ValueTypes:
    """The indexes of one key, or of every key that has none of its own, by kind of value."""

    string: StringIndexes | None = None
    float_list: FloatListIndexes | None = None
    sparse_vector: SparseVectorIndexes | None = None
    int_value: IntIndexes | None = None
    float_value: FloatIndexes | None = None
    boolean: BoolIndexes | None = None

    def put(self, config: Any, enabled: bool) -> None:
        """Set the index that a configuration belongs to."""
        kind, index = INDEX_CONFIGS[type(config)]
        if getattr(self, kind) is None:
            setattr(self, kind, _INDEXES[kind]())
        setattr(getattr(self, kind), index, Index(enabled, config))

    def index(self, config: type[Config]) -> Index | None:
        """The index of one kind of configuration, if there is any."""
        kind, index = INDEX_CONFIGS[config]
        found: Index | None = getattr(getattr(self, kind), index, None)
        return found

    def to_json(self) -> dict[str, Any]:
        """Chroma's JSON of this."""
        json: dict[str, Any] = {}
        for config, (kind, name) in INDEX_CONFIGS.items():
            index = self.index(config)
            if getattr(self, kind) is not None:
                json.setdefault(_JSON_KINDS.get(kind, kind), {})
            if index is not None:
                entry = {"enabled": index.enabled, "config": index.config.to_json()}
                json[_JSON_KINDS.get(kind, kind)][name] = entry
        return json

    @classmethod
    def from_json(cls, json: Any, place: str) -> ValueTypes:
        """What `to_json` described; errors say in which place of a schema it stands."""
        made, kinds = cls(), mapping(json, place)
        for config, (kind, name) in INDEX_CONFIGS.items():
            json_kind = _JSON_KINDS.get(kind, kind)
            indexes = mapping(kinds.get(json_kind), f"{place}.{json_kind}")
            if kinds.get(json_kind) is not None and getattr(made, kind) is None:
                setattr(made, kind, _INDEXES[kind]())
            index_place = f"{place}.{json_kind}.{name}"
            index = mapping(indexes.get(name), index_place)
            if indexes.get(name) is not None:
                enabled = index.get("enabled", True)
                if not isinstance(enabled, bool):
                    raise InvalidArgumentError(
                        f"{index_place}.enabled: expected a bool, got {shown(enabled)}"
                    )
                given = mapping(index.get("config"), f"{index_place}.config")
                made.put(config.from_json(dict(given)), enabled)
        return made


INDEX_CONFIGS: dict[type[Config], tuple[str, str]] = {
    FtsIndexConfig: ("string", "fts_index"),
    StringInvertedIndexConfig: ("string", "string_inverted_index"),
    VectorIndexConfig: ("float_list", "vector_index"),
    SparseVectorIndexConfig: ("sparse_vector", "sparse_vector_index"),
    IntInvertedIndexConfig: ("int_value", "int_inverted_index"),
    FloatInvertedIndexConfig: ("float_value", "float_inverted_index"),
    BoolInvertedIndexConfig: ("boolean", "bool_inverted_index"),
}
"""Configuration → (kind of value, index)."""
_INDEXES: dict[str, Any] = {
    "string": StringIndexes,
    "float_list": FloatListIndexes,
    "sparse_vector": SparseVectorIndexes,
    "int_value": IntIndexes,
    "float_value": FloatIndexes,
    "boolean": BoolIndexes,
}
_JSON_KINDS = {"int_value": "int", "float_value": "float", "boolean": "bool"}
