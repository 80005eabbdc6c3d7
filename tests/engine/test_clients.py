"""A client does for its embedded user what Chroma's does: settings, reset, names of collections, pages."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest

import vicinal
import vicinal as chromadb
from vicinal import errors
from vicinal._index import planner
from vicinal.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings
from vicinal.testing import HashEmbeddingFunction


def plain(client: vicinal.Client, name: str, **arguments: object) -> vicinal.Collection:
    return client.create_collection(name, embedding_function=None, **arguments)


# --- settings ----------------------------------------------------------------------------------


def test_a_client_is_in_memory_unless_its_settings_say_otherwise(tmp_path):
    with vicinal.Client(Settings(persist_directory=str(tmp_path / "data"))) as client:
        plain(client, "things")
    assert not (tmp_path / "data").exists()


def test_a_client_keeps_its_collections_where_its_settings_say(tmp_path):
    settings = Settings(is_persistent=True, persist_directory=str(tmp_path))
    with vicinal.Client(settings) as client:
        plain(client, "things")
    with vicinal.PersistentClient(tmp_path) as client:
        assert [collection.name for collection in client.list_collections()] == ["things"]


def test_the_path_of_a_persistent_client_wins(tmp_path):
    settings = Settings(persist_directory="/nowhere/at/all")
    with vicinal.PersistentClient(tmp_path, settings) as client:
        given = client.get_settings()
    assert (given.is_persistent, given.persist_directory) == (True, str(tmp_path))
    assert settings.persist_directory == "/nowhere/at/all"


def test_an_ephemeral_client_is_in_memory_whatever_its_settings_say(tmp_path):
    settings = Settings(is_persistent=True, persist_directory=str(tmp_path / "data"))
    with vicinal.EphemeralClient(settings) as client:
        assert client.get_settings().is_persistent is False
    assert not (tmp_path / "data").exists()


def test_settings_come_from_the_environment_when_they_are_not_given(monkeypatch, tmp_path):
    monkeypatch.setenv("ALLOW_RESET", "TRUE")
    monkeypatch.setenv("PERSIST_DIRECTORY", str(tmp_path))
    assert (Settings().allow_reset, Settings().persist_directory) == (True, str(tmp_path))
    assert Settings(allow_reset=False).allow_reset is False


def test_settings_that_need_a_server_are_kept_and_have_no_effect():
    settings = Settings(
        anonymized_telemetry=False, chroma_server_host="localhost", chroma_server_http_port=8000
    )
    assert (settings.chroma_server_host, settings["chroma_server_http_port"]) == ("localhost", 8000)
    with vicinal.Client(settings) as client:
        assert client.count_collections() == 0


def test_settings_that_were_not_given_are_chromas(client):
    settings = client.get_settings()
    read = [
        settings.chroma_server_host,
        settings["chroma_server_http_port"],
        settings.chroma_server_ssl_enabled,
    ]
    assert [None, None, False] == read
    assert settings.model_dump()["chroma_client_auth_provider"] is None
    assert settings.chroma_server_cors_allow_origins == []
    assert settings.chroma_server_auth_ignore_paths["/api/v2/heartbeat"] == ["GET"]
    with pytest.raises(AttributeError, match="chroma_server_hots"):
        settings.chroma_server_hots  # noqa: B018


def test_settings_can_be_changed_before_they_are_used():
    settings = Settings()
    settings.allow_reset = True
    with vicinal.Client(settings) as client:
        assert client.reset() is True


def test_a_changed_list_is_that_of_its_settings_alone():
    settings = Settings()
    settings.chroma_server_cors_allow_origins.append("*")
    settings.chroma_server_auth_ignore_paths["/api/v2"].append("POST")
    assert Settings().chroma_server_cors_allow_origins == []
    assert Settings().chroma_server_auth_ignore_paths["/api/v2"] == ["GET"]


def test_changing_settings_later_changes_no_client():
    settings = Settings()
    with vicinal.Client(settings) as client:
        settings.allow_reset = True
        client.get_settings().allow_reset = True
        with pytest.raises(errors.AuthorizationError):
            client.reset()


def test_settings_of_the_wrong_kind_are_refused():
    with pytest.raises(errors.InvalidArgumentError, match=r"Settings\.allow_reset: .*'perhaps'"):
        Settings(allow_reset="perhaps")
    with pytest.raises(TypeError, match="settings to be a vicinal"):
        vicinal.Client("./data")


def test_settings_from_before_chroma_0_4_are_refused():
    with pytest.raises(ValueError, match="PersistentClient"):
        Settings(chroma_db_impl="duckdb+parquet", persist_directory="db")


def test_a_setting_can_be_required():
    assert Settings().require("persist_directory") == "./vicinal"
    with pytest.raises(errors.InvalidArgumentError, match="chroma_server_host"):
        Settings().require("chroma_server_host")


def test_the_default_names_are_found_where_chroma_has_them():
    assert (DEFAULT_TENANT, DEFAULT_DATABASE) == ("default_tenant", "default_database")


# --- reset -------------------------------------------------------------------------------------


def test_reset_is_refused_unless_it_is_allowed(client):
    kept = plain(client, "things")
    with pytest.raises(errors.AuthorizationError, match="allow_reset=True"):
        client.reset()
    assert kept.count() == 0


@pytest.mark.parametrize("persistent", [False, True])
def test_reset_leaves_nothing(tmp_path, persistent):
    settings = Settings(is_persistent=persistent, persist_directory=tmp_path, allow_reset=True)
    with vicinal.Client(settings) as client:
        client.create_tenant("acme")
        client.create_database("one", tenant="acme")
        things = plain(client, "things")
        things.add(ids="a", embeddings=[1.0])
        client.set_tenant("acme", "one")
        plain(client, "others")
        assert client.reset() is True
        client.set_tenant("default_tenant")
        assert (client.list_tenants(), client.count_collections()) == ([{"name": "default_tenant"}], 0)
        with pytest.raises(errors.NotFoundError):
            things.count()
        assert not list(tmp_path.glob("collections/*"))


def test_after_a_reset_names_are_free(tmp_path):
    with vicinal.PersistentClient(tmp_path, Settings(allow_reset=True)) as client:
        plain(client, "things").add(ids="a", embeddings=[1.0, 2.0])
        client.reset()
        again = plain(client, "things")
        again.add(ids="b", embeddings=[1.0])
        assert again.get()["ids"] == ["b"]


# --- what a client tells -----------------------------------------------------------------------


def test_the_heart_beats_in_nanoseconds(client):
    before = time.time_ns()
    assert before <= client.heartbeat() <= time.time_ns()


def test_a_closed_client_has_no_heartbeat(new_client):
    client = new_client()
    client.close()
    with pytest.raises(errors.ClosedError):
        client.heartbeat()


def test_the_version_is_vicinals(client):
    assert client.get_version() == vicinal.__version__


def test_the_version_is_known_where_no_distribution_is_installed(client, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", None)  # as in a frozen program or a copied folder
    assert client.get_version() == vicinal.__version__


def test_a_batch_of_the_largest_size_and_more_is_accepted(client):
    size = client.get_max_batch_size()
    ids = [str(i) for i in range(size + 1)]
    things = plain(client, "things")
    things.add(ids=ids, embeddings=[[1.0]] * len(ids))
    assert things.count() == size + 1


def test_the_user_is_nobody_in_particular(client):
    identity = client.get_user_identity()
    assert (identity.user_id, identity.tenant, identity.databases) == ("", client.tenant, [client.database])


def test_there_is_no_cache_to_clear(client):
    kept = plain(client, "things")
    client.clear_system_cache()
    vicinal.Client.clear_system_cache()
    assert kept.count() == 0


def test_leaving_the_block_closes_the_client(tmp_path):
    with vicinal.PersistentClient(tmp_path) as client:
        things = plain(client, "things")
    client.close()
    with pytest.raises(errors.ClosedError):
        things.count()


# --- collections -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "names"),
    [((2,), ["a-0", "a-1"]), ((2, 2), ["a-2", "a-3"]), ((None, 3), ["a-3"]), ((0,), []), ((9, 9), [])],
)
def test_collections_come_in_pages_in_order_of_name(client, page, names):
    for number in (2, 0, 3, 1):
        plain(client, f"a-{number}")
    assert [collection.name for collection in client.list_collections(*page)] == names
    assert client.count_collections() == 4


def test_an_existing_collection_keeps_its_metadata(client):
    plain(client, "things", metadata={"a": 1})
    again = client.get_or_create_collection("things", metadata={"b": 2}, embedding_function=None)
    assert again.metadata == {"a": 1}


def test_arguments_stand_in_chromas_order(client):
    configuration = {"hnsw": {"space": "cosine"}}
    made = client.create_collection("things", None, configuration, {"a": 1}, None, None, True)
    again = client.get_or_create_collection("things", None, None, None, None, None)
    assert (made.configuration_json["hnsw"]["space"], again.metadata) == ("cosine", {"a": 1})
    assert client.get_collection("things", None, None) == made


def test_a_schema_configures_the_collection(client):
    space = vicinal.VectorIndexConfig(space="ip")
    made = client.create_collection(
        "things", vicinal.Schema().create_index(space), embedding_function=HashEmbeddingFunction()
    )
    assert client.get_collection("things").configuration_json["hnsw"]["space"] == "ip"
    assert made.schema.keys["#embedding"] is not None


def test_a_schema_is_one_of_ours(client):
    with pytest.raises(TypeError, match="schema to be a vicinal"):
        client.create_collection("things", {"a": 1})


LEGACY = {
    "hnsw:space": "cosine",
    "hnsw:construction_ef": 77,
    "hnsw:search_ef": 33,
    "hnsw:M": 5,
    "hnsw:num_threads": 1,
    "hnsw:batch_size": 7,
    "hnsw:sync_threshold": 9,
    "hnsw:resize_factor": 2.5,
}


def test_the_older_metadata_keys_configure_the_collection(store):
    made = plain(store.client, "things", metadata=LEGACY)
    again = store.reopen(made)
    hnsw = again._info.configuration.hnsw
    assert [hnsw.space, hnsw.ef_construction, hnsw.ef_search, hnsw.max_neighbors] == ["cosine", 77, 33, 5]
    assert [hnsw.num_threads, hnsw.batch_size, hnsw.sync_threshold, hnsw.resize_factor] == [1, 7, 9, 2.5]
    assert again.metadata == LEGACY


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"space": "ip"}, ("ip", 9, 33)),
        ({"space": "l2"}, ("l2", 9, 33)),
        ({"space": None}, ("cosine", 9, 33)),
        ({"ef_search": 100}, ("cosine", 9, 100)),
        ({"max_neighbors": 24, "ef_search": 5}, ("cosine", 24, 5)),
        ({}, ("cosine", 9, 33)),
    ],
)
def test_the_older_keys_count_for_what_the_configuration_does_not_name(client, named, expected):
    older = {"hnsw:space": "cosine", "hnsw:M": 9, "hnsw:search_ef": 33}
    made = plain(client, "things", metadata=older, configuration={"hnsw": named})
    hnsw = made.configuration_json["hnsw"]
    assert (hnsw["space"], hnsw["max_neighbors"], hnsw["ef_search"]) == expected


@pytest.mark.parametrize(
    "older", [{"hnsw:space": "ip"}, {"hnsw:space": "cosine", "hnsw:search_ef": 8}, {"hnsw:search_ef": 8}]
)
def test_older_keys_that_contradict_a_schema_are_refused(client, older):
    index = vicinal.VectorIndexConfig(space="cosine", hnsw=vicinal.HnswIndexConfig(ef_search=7))
    with pytest.raises(errors.InvalidArgumentError, match=r"Cannot set both .* schema"):
        plain(client, "things", schema=vicinal.Schema().create_index(index), metadata=older)
    assert client.count_collections() == 0


def test_older_keys_count_beside_a_schema_that_says_nothing_else(client):
    index = vicinal.VectorIndexConfig(space="cosine")
    older = {"hnsw:space": "cosine", "hnsw:search_ef": 8}
    made = plain(client, "things", schema=vicinal.Schema().create_index(index), metadata=older)
    assert (made.configuration_json["hnsw"]["space"], made.configuration_json["hnsw"]["ef_search"]) == (
        "cosine",
        8,
    )
    bare = plain(client, "bare", schema=vicinal.Schema(), metadata={"hnsw:space": "ip"})
    assert bare.configuration_json["hnsw"]["space"] == "ip"


@pytest.mark.parametrize(
    "metadata", [{"hnsw:space": "far"}, {"hnsw:M": "x"}, {"hnsw:foo": 1}, {"hnsw:serach_ef": 10}]
)
def test_an_older_key_that_means_nothing_is_refused(client, metadata):
    with pytest.raises(errors.InvalidArgumentError, match="hnsw"):
        plain(client, "things", metadata=metadata)
    assert client.count_collections() == 0


# --- changing the configuration ----------------------------------------------------------------

CHANGES = {"ef_search": 50, "num_threads": 2, "batch_size": 20, "sync_threshold": 200, "resize_factor": 1.5}


def test_a_configuration_can_be_changed_where_the_graph_does_not_mind(store):
    things = store.collection(ids=["a"], embeddings=[[1.0, 2.0]])
    things.modify(configuration={"hnsw": CHANGES})
    hnsw = store.reopen(things)._info.configuration.hnsw
    assert {key: getattr(hnsw, key) for key in CHANGES} == CHANGES
    assert (hnsw.space, hnsw.max_neighbors) == ("l2", 24)


def test_a_changed_configuration_holds_for_the_next_query(client):
    things = plain(client, "things")
    things.add(ids=[str(i) for i in range(3)], embeddings=[[1.0], [2.0], [3.0]])
    things.modify(configuration={"hnsw": {"ef_search": 7}})
    with client._backend._opened.using(things.id) as live:
        assert live.hnsw.ef_search == 7
    assert things.configuration_json["hnsw"]["ef_search"] == 7


@pytest.mark.parametrize("key", ["space", "ef_construction", "max_neighbors"])
def test_what_the_graph_was_built_with_cannot_be_changed(collection, key):
    with pytest.raises(errors.InvalidArgumentError, match=f"`{key}` is fixed when a collection is created"):
        collection.modify(configuration={"hnsw": {key: "l2" if key == "space" else 8}})


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"hnsw": {"bogus": 1}}, "unknown field `bogus`, expected one of `ef_search`"),
        ({"hnsw": {"ef_search": "x"}}, "ef_search"),
        ({"hnsw": {"ef_search": 0}}, "greater than or equal to 1"),
        ({"hnsw": 5}, "to be a dict"),
        ({"spann": {"search_nprobe": 4}}, "HNSW"),
        ({"expiry": {"ttl_s": 5}}, "'expiry'.* cannot be changed"),
        ({"expiry": None}, "'expiry'.* cannot be changed"),
        ({"text": True, "hnsw": {"ef_search": 5}}, "'text'.* cannot be changed"),
        ({"ef_search": 5}, "unknown key 'ef_search'"),
        ({"hnws": {"ef_search": 5}}, "unknown key 'hnws'"),
        (5, "to be a dict"),
    ],
)
def test_a_change_that_means_nothing_is_refused(collection, configuration, words):
    before = collection.configuration_json
    with pytest.raises(errors.InvalidArgumentError, match=words):
        collection.modify(configuration=configuration)
    assert collection.configuration_json == before


def test_a_change_of_nothing_changes_nothing(collection):
    before = collection.configuration_json
    collection.modify(configuration={"hnsw": {}})
    collection.modify(configuration={})
    assert collection.configuration_json == before


class Scaled(HashEmbeddingFunction):
    """A function with a configuration that may change."""

    def __init__(self, scale: float = 1) -> None:
        super().__init__(2)
        self.scale = scale

    def __call__(self, input: list[str]) -> list[list[float]]:
        return [[len(text) * self.scale, 1.0] for text in input]

    @staticmethod
    def name() -> str:
        return "tests-scaled"

    def get_config(self) -> dict[str, float]:
        return {"scale": self.scale}

    @staticmethod
    def build_from_config(config: dict[str, float]) -> Scaled:
        return Scaled(**config)

    @staticmethod
    def validate_config(config: dict[str, float]) -> None:
        if config["scale"] <= 0:
            raise ValueError("the scale is positive")

    def validate_config_update(self, old_config: dict[str, float], new_config: dict[str, float]) -> None:
        if new_config["scale"] < old_config["scale"]:
            raise ValueError("the scale only grows")


def test_a_function_of_the_same_name_can_be_configured_anew(store):
    things = store.client.create_collection("things", embedding_function=Scaled())
    things.modify(configuration={"embedding_function": Scaled(2), "hnsw": {"ef_search": 7}})
    things.add(ids="a", documents="four")
    again = store.reopen(things)
    assert again.configuration_json["embedding_function"]["config"] == {"scale": 2}
    assert (again.configuration_json["hnsw"]["ef_search"], again.embedding_function.scale) == (7, 2)
    assert again.get(include=["embeddings"])["embeddings"].tolist() == [[8, 1]]
    again.modify(configuration={"hnsw": {"ef_search": 8}})
    assert store.reopen(again).embedding_function.scale == 2


@pytest.mark.parametrize("before", [None, len])
def test_a_collection_without_a_function_that_it_remembers_can_be_given_one(store, before):
    things = store.client.create_collection("things", embedding_function=before)
    things.modify(configuration={"embedding_function": Scaled(3)})
    assert store.reopen(things).query(query_texts="text")["ids"] == [[]]


def test_a_collection_is_not_given_a_function_that_refuses_its_own_configuration(store):
    things = store.client.create_collection("things", embedding_function=None)
    with pytest.raises(ValueError, match="is positive"):
        things.modify(configuration={"embedding_function": Scaled(-1)})
    assert things.configuration_json["embedding_function"] is None


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (HashEmbeddingFunction(2), "incompatible types .tests-scaled vs vicinal-testing-hash"),
        (Scaled(0.5), "only grows"),
        (Scaled(-1), "is positive"),
        (len, "remembers functions that have name"),
        (5, "remembers functions that have name"),
    ],
)
def test_a_function_that_is_not_the_collections_is_refused(store, function, words):
    things = store.client.create_collection("things", embedding_function=Scaled())
    with pytest.raises(ValueError, match=words):
        things.modify(configuration={"embedding_function": function})
    assert things.embedding_function.scale == 1
    assert store.reopen(things).configuration_json["embedding_function"]["config"] == {"scale": 1}


def test_what_decides_about_the_vectors_stays_where_a_class_says_what_does_not(client, monkeypatch):
    monkeypatch.setattr(Scaled, "config_may_differ", frozenset({"device"}))
    things = client.create_collection("things", embedding_function=Scaled())
    with pytest.raises(errors.EmbeddingFunctionError, match="would embed otherwise"):
        things.modify(configuration={"embedding_function": Scaled(2)})
    monkeypatch.setattr(Scaled, "config_may_differ", frozenset({"scale"}))
    things.modify(configuration={"embedding_function": Scaled(2)})
    assert things.configuration_json["embedding_function"]["config"] == {"scale": 2}
    monkeypatch.setattr(Scaled, "config_may_differ", frozenset())
    monkeypatch.setattr(Scaled, "config_paths", frozenset({"folder"}))
    with pytest.raises(errors.EmbeddingFunctionError, match="would embed otherwise"):
        things.modify(configuration={"embedding_function": Scaled(3)})


# --- beside a Chroma database ------------------------------------------------------------------


@pytest.fixture
def chroma(tmp_path: Path) -> Path:
    """A directory that looks like one of Chroma's."""
    place = tmp_path / "of chroma"
    place.mkdir()
    (place / "chroma.sqlite3").touch()
    return place


@pytest.mark.parametrize(
    "opened",
    [
        vicinal.PersistentClient,
        lambda place: vicinal.Client(Settings(is_persistent=True, persist_directory=place)),
        lambda place: vicinal.AdminClient(Settings(is_persistent=True, persist_directory=place)),
    ],
)
def test_a_new_database_beside_one_of_chromas_is_warned_of_once(chroma, opened):
    command = re.escape(f"vicinal import 'chroma://{chroma}' --into NEWDIR")
    with pytest.warns(UserWarning, match=command) as warned:
        opened(chroma).close()
    assert [warning.filename for warning in warned] == [__file__]
    opened(chroma).close()


def test_a_collection_that_may_be_chromas_is_looked_for_there(chroma):
    with pytest.warns(UserWarning, match="empty Vicinal database"):
        client = vicinal.PersistentClient(chroma)
    with client, pytest.raises(errors.NotFoundError, match=r"vicinal import 'chroma://.*' --into NEWDIR"):
        client.get_collection("docs")


@pytest.mark.parametrize("how", [{"must_exist": True}, {"read_only": True}])
def test_who_makes_no_database_beside_chromas_needs_no_warning(chroma, how):
    with pytest.raises(errors.StorageError, match="holds no Vicinal database"):
        vicinal.PersistentClient(chroma, **how)
    assert [file.name for file in chroma.iterdir()] == ["chroma.sqlite3"]


# --- what there is not -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HttpClient", "AsyncHttpClient", "CloudClient"])
def test_a_client_of_a_server_says_that_there_is_none(name):
    with pytest.raises(NotImplementedError, match=rf"{name}: .*PersistentClient") as raised:
        getattr(chromadb, name)(host="localhost", port=8000)
    assert isinstance(raised.value, errors.ChromaError)


@pytest.mark.parametrize("implementation", ["chromadb.api.fastapi.FastAPI", "rest"])
@pytest.mark.parametrize("kind", [vicinal.Client, vicinal.AdminClient, vicinal.EphemeralClient])
def test_settings_of_a_client_of_a_server_are_refused_for_nothing_would_be_kept(kind, implementation):
    settings = vicinal.Settings(chroma_server_host="localhost", chroma_server_http_port="8000")
    settings.chroma_api_impl = implementation
    with pytest.raises(errors.NotSupportedError, match=r"chroma_api_impl is .*PersistentClient"):
        kind(settings)


def test_chromas_names_of_interfaces_are_there():
    assert isinstance(vicinal.EphemeralClient(), chromadb.ClientAPI)
    assert issubclass(vicinal.AsyncEphemeralClient, chromadb.AsyncClientAPI)
    assert chromadb.AdminAPI is vicinal.AdminClient


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere names are text")
@pytest.mark.parametrize("name", [b"\xff", b"a?b#c%20d", "ü ✓".encode()])
def test_a_directory_may_have_any_name(tmp_path, name, monkeypatch):
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 0)
    path = os.path.join(tmp_path, os.fsdecode(name))
    with vicinal.PersistentClient(path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add("a", [1, 2])
        things.optimize()
        assert len(list(Path(path).glob("collections/*/checkpoints/graph.json"))) == 1
        client.backup(path + " too")
    for place in (path, path + " too"):
        with vicinal.PersistentClient(place, read_only=True) as client:
            assert (client.get_collection("things").get()["ids"], client.check()) == (["a"], [])


@pytest.mark.skipif(os.name == "nt", reason="elsewhere two slashes begin like one")
def test_a_path_may_begin_with_two_slashes(tmp_path):
    path = f"/{tmp_path}/data"
    with vicinal.PersistentClient(path) as client:
        client.create_collection("things", embedding_function=None).add("a", [1, 2])
    with vicinal.PersistentClient(path, read_only=True) as client:
        assert client.get_collection("things").get()["ids"] == ["a"]


def test_a_directory_is_made_where_it_is_needed(tmp_path):
    with vicinal.PersistentClient(Path(tmp_path) / "a" / "b"):
        pass
    assert (tmp_path / "a" / "b" / "catalog.sqlite3").exists()
