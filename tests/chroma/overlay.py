"""How do Chroma's own tests come to test Vicinal?

They ship inside Chroma's wheel. `python -m tests.chroma` copies them to a temporary directory with this file
as their `conftest.py`; nothing of theirs is kept here. It puts Vicinal's clients, errors and schema in
the place of Chroma's under the names by which the tests import them, and gives them Vicinal's clients as
fixtures. What is left out, and why, is listed in `left_out.py`.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tests.chroma.without_server  # isort: skip  # noqa: F401
import chromadb
import chromadb.api
import chromadb.api.client
import chromadb.api.segment
import chromadb.api.types
import chromadb.config
import chromadb.errors
import chromadb.segment.impl.manager.local
import chromadb.test.conftest as theirs
import hypothesis
import pytest
from chromadb.api.models import Collection as models
from tests.chroma.left_out import LEFT_OUT

import vicinal
from vicinal import errors
from vicinal.config import HnswConfiguration

CLIENTS = ("Client", "EphemeralClient", "PersistentClient", "AdminClient", "ClientAPI", "AdminAPI")
SCHEMA = (
    "Schema",
    "VectorIndexConfig",
    "HnswIndexConfig",
    "SpannIndexConfig",
    "FtsIndexConfig",
    "SparseVectorIndexConfig",
    "StringInvertedIndexConfig",
    "IntInvertedIndexConfig",
    "FloatInvertedIndexConfig",
    "BoolInvertedIndexConfig",
    "SparseVector",
    "ReadLevel",
    "IndexingStatus",
)


def _refusing_empty_metadata(method: Any) -> Any:
    """Chroma's histories assert that {} is refused, which Vicinal takes for what it is; so they go on."""

    @functools.wraps(method)
    def refusing(self: Any, *given: Any, **named: Any) -> Any:
        if named.get("metadata") == {}:
            raise ValueError("Chroma refuses empty metadata")
        return method(self, *given, **named)

    return refusing


def _passing_over_one_link(method: Any) -> Any:
    """Vicinal refuses one link a row, with which Chroma finds nothing; where generated, it is passed over."""

    @functools.wraps(method)
    def passing(self: Any, *given: Any, **named: Any) -> Any:
        try:
            return method(self, *given, **named)
        except errors.InvalidArgumentError as error:
            if "max_neighbors" in str(error) and hypothesis.currently_in_test_context():
                hypothesis.reject()
            raise

    return passing


def _put() -> None:
    """Vicinal under Chroma's names."""
    for name in CLIENTS:
        setattr(chromadb, name, getattr(vicinal, name))
    for module in (chromadb.api, chromadb.api.client):
        for name in set(CLIENTS) & set(vars(module)):
            setattr(module, name, getattr(vicinal, name))
    for name in SCHEMA:
        ours = getattr(vicinal, name, None) or getattr(vicinal.types, name)
        setattr(chromadb, name, ours)
        setattr(chromadb.api.types, name, ours)
    for name in vars(errors):
        if hasattr(chromadb.errors, name) and not name.startswith("_"):
            setattr(chromadb.errors, name, getattr(errors, name))
    chromadb.Settings = chromadb.config.Settings = vicinal.Settings
    models.Collection = chromadb.Collection = vicinal.Collection
    theirs.ClientCreator = theirs.ClientAPI = vicinal.Client
    # Inner parts that the tests look at; each stands for the same thing here.
    vicinal.Collection.get_model = lambda self: Known(version=0, configuration_json=self.configuration_json)
    vicinal.Collection._model = property(vicinal.Collection.get_model)
    vicinal.Client._server = None
    theirs.create_database = lambda client, name: client.create_database(name)
    for owner, method in (
        (vicinal.Collection, "modify"),
        (vicinal.Client, "create_collection"),
        (vicinal.Client, "get_or_create_collection"),
    ):
        setattr(owner, method, _refusing_empty_metadata(getattr(owner, method)))
    for method in ("create_collection", "get_or_create_collection"):
        setattr(vicinal.Client, method, _passing_over_one_link(getattr(vicinal.Client, method)))
    vicinal.Client.get_settings = lambda self: Known(**{**self._settings.model_dump(), **EMBEDDED})


class Known(SimpleNamespace):
    """Settings as Chroma's tests look at them."""

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name, None)

    require = __getitem__


EMBEDDED = {
    "chroma_api_impl": "chromadb.api.rust.RustBindingsAPI",
    "chroma_server_http_port": 0,  # None would have them measure the log of Chroma's own tables
}

_put()
RESETTABLE = {"allow_reset": True}


class Factories:
    """Clients of one directory; ephemeral ones of Vicinal's would share nothing."""

    def __init__(self, path: Path) -> None:
        self._path, self._made = path, []

    def create_client(
        self, *_: Any, tenant: str | None = None, database: str | None = None, **__: Any
    ) -> Any:
        place = {"tenant": tenant, "database": database}
        given = {key: value for key, value in place.items() if value is not None}
        client = vicinal.PersistentClient(self._path, vicinal.Settings(**RESETTABLE), **given)
        self._made.append(client)
        return client

    def create_admin_client(self, *_: Any, **__: Any) -> Any:
        settings = vicinal.Settings(is_persistent=True, persist_directory=str(self._path))
        self._made.append(vicinal.AdminClient(settings))
        return self._made[-1]

    create_client_from_system = create_client
    create_admin_client_from_system = create_admin_client

    def close(self) -> None:
        for client in self._made:
            client.close()


@pytest.fixture(params=["ephemeral", "persistent"])
def client(request: Any, tmp_path: Path) -> Iterator[Any]:
    """What every test of the suite that needs a client takes."""
    settings = vicinal.Settings(**RESETTABLE)
    if request.param == "ephemeral":
        made: Any = vicinal.EphemeralClient(settings)
    else:
        made = vicinal.PersistentClient(tmp_path / "client", settings)
    with made:
        yield made
        assert made.check() == []


@pytest.fixture
def api(client: Any) -> Any:
    """In Chroma the layer below the client, with the same methods."""
    return client


@pytest.fixture
def http_client(client: Any) -> Any:
    """A client like any other."""
    return client


@pytest.fixture
def client_factories(tmp_path: Path) -> Iterator[Factories]:
    """Several clients of one store."""
    made = Factories(tmp_path / "factories")
    yield made
    made.close()


@pytest.fixture
def database_name() -> str:
    """Chroma's suite runs in several databases; here one does."""
    return "default_database"


mock_embeddings, mock_common_deps = theirs.mock_embeddings, theirs.mock_common_deps


@functools.cache
def reason(test: str) -> str | None:
    """Why a test is left out."""
    return next(
        (why for why, patterns in LEFT_OUT.items() for one in patterns if fnmatch.fnmatch(test, one)), None
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is listed."""
    for module in {item.module for item in items if hasattr(item.module, "HNSW_DEFAULTS")}:
        ours = HnswConfiguration()  # the defaults that differ
        module.HNSW_DEFAULTS.update(
            ours.model_dump(include={"ef_search", "ef_construction", "max_neighbors"})
        )
    root = config.rootpath
    names = [f"{item.path.relative_to(root)}::{item.nodeid.split('::', 1)[1]}" for item in items]
    out = [item for item, name in zip(items, names) if reason(name) is not None]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item, name in zip(items, names) if reason(name) is None]
