"""Chroma's place of the types of `configuration`, kept for programs that change an import.

A configuration is a plain dictionary, so `CreateCollectionConfiguration(hnsw={"space": "cosine"})` is one.
"""

from typing import Any

CollectionConfiguration = dict[str, Any]
CreateCollectionConfiguration = dict[str, Any]
CreateHNSWConfiguration = dict[str, Any]
CreateSpannConfiguration = dict[str, Any]
HNSWConfiguration = dict[str, Any]
SpannConfiguration = dict[str, Any]
UpdateCollectionConfiguration = dict[str, Any]
UpdateHNSWConfiguration = dict[str, Any]
UpdateSpannConfiguration = dict[str, Any]
