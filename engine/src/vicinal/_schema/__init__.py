"""Which kinds of values may be filtered on, and what is embedded from where?  Chroma's Schema API."""

from vicinal._schema.configs import (
    BoolInvertedIndexConfig,
    FloatInvertedIndexConfig,
    FtsIndexConfig,
    HnswIndexConfig,
    IntInvertedIndexConfig,
    SpannIndexConfig,
    SparseVectorIndexConfig,
    StringInvertedIndexConfig,
    VectorIndexConfig,
)
from vicinal._schema.schema import (
    Schema,
    check_filter,
    schema_of,
    sparse_functions,
    sparse_keys,
    sparse_sources,
    without_function,
)

__all__ = [
    "BoolInvertedIndexConfig",
    "FloatInvertedIndexConfig",
    "FtsIndexConfig",
    "HnswIndexConfig",
    "IntInvertedIndexConfig",
    "Schema",
    "SpannIndexConfig",
    "SparseVectorIndexConfig",
    "StringInvertedIndexConfig",
    "VectorIndexConfig",
    "check_filter",
    "schema_of",
    "sparse_functions",
    "sparse_keys",
    "sparse_sources",
    "without_function",
]
