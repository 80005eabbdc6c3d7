"""Every name that a program may import from chromadb is in vicinal, but for those that are listed here.

tests/engine/test_chroma_names.py has the lists, for where chromadb is not installed.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import pytest
from tests.engine.test_chroma_names import ERRORS, FRONT_DOOR, FUNCTIONS, PLACES

import vicinal

chromadb = pytest.importorskip("chromadb")

NOT_HERE = {"Cmek", "TokenTransportHeader"}
"""Of Chroma's front door: keys of its cloud's encryption, and a header of its server."""
ABSENT_FUNCTIONS = {
    "amazon_bedrock_embedding_function",
    "baseten_embedding_function",
    "bm25_embedding_function",
    "chroma_cloud_qwen_embedding_function",
    "chroma_cloud_splade_embedding_function",
    "cloudflare_workers_ai_embedding_function",
    "fastembed_sparse_embedding_function",
    "instructor_embedding_function",
    "morph_embedding_function",
    "nomic_embedding_function",
    "perplexity_embedding_function",
    "roboflow_embedding_function",
    "schemas",
    "text2vec_embedding_function",
    "together_ai_embedding_function",
    "utils",
}


def _classes(module: ModuleType) -> dict[str, type[Exception]]:
    found = {name: one for name, one in vars(module).items() if isinstance(one, type)}
    return {name: one for name, one in found.items() if issubclass(one, Exception)}


def test_the_list_of_errors_is_chromas() -> None:
    assert sorted(_classes(chromadb.errors)) == ERRORS


@pytest.mark.parametrize("name", [name for name in ERRORS if name != "ChromaError"])
def test_an_error_has_chromas_name_and_status(name: str) -> None:
    theirs, ours = getattr(chromadb.errors, name), getattr(vicinal.errors, name)
    assert (ours.name(), ours.status) == (theirs.name(), theirs("x").code())


def test_the_front_door_has_all_of_chromas_names() -> None:
    assert set(chromadb.__all__) - set(vicinal.__all__) == NOT_HERE
    assert set(FRONT_DOOR) <= set(chromadb.__all__)


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_chromas(place: str) -> None:
    module = importlib.import_module(f"chromadb.{place}")
    assert [name for name in PLACES[place] if not hasattr(module, name)] == []


def test_the_modules_of_functions_are_chromas() -> None:
    from chromadb.utils import embedding_functions

    found = {module.name for module in pkgutil.iter_modules(embedding_functions.__path__)}
    assert found - ABSENT_FUNCTIONS == set(FUNCTIONS)
