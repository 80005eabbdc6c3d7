"""A collection is found under its name, keeps what it was created with, and is gone when deleted."""

import copy
import gc
import os
import uuid
import weakref

import pytest

import vicinal
from vicinal._storage import catalog
from vicinal.embedding import EmbeddingFunction, known_embedding_functions, register_embedding_function
from vicinal.errors import (
    ClosedError,
    EmbeddingFunctionError,
    InvalidArgumentError,
    NotFoundError,
    StorageError,
    UniqueConstraintError,
)
from vicinal.testing import HashEmbeddingFunction, wait_for_index

GOOD_NAMES = ["abc", "ABC", "a-b", "a_b.c-d", "0.0", "1.2.3", "a" * 512, "abc+def", "con", "a__b--c"]
BAD_NAMES = [
    *(
        "",
        "a",
        "ab",
        "a" * 513,
        "-ab",
        "ab-",
        ".ab",
        "ab.",
        "_ab",
        "a b",
        "a/b",
        "../x",
        "äbc",
        "abc\n",
        "a\0b",
    ),
    *("a..b", "1.2.3.4", "255.255.255.255", "::1", "ab+cd", "abc+", "+abc", "abc+def+ghi"),
]
HNSW_DEFAULTS = {
    "space": "l2",
    "ef_construction": 200,
    "ef_search": None,
    "max_neighbors": 24,
    "sync_threshold": 1000,
    "resize_factor": 1.2,
}
VERBS = {
    "add": lambda c: c.add(ids="x", embeddings=[1.0, 2.0]),
    "upsert": lambda c: c.upsert(ids="x", embeddings=[1.0, 2.0]),
    "update": lambda c: c.update(ids="x", embeddings=[1.0, 2.0]),
    "delete": lambda c: c.delete(ids="x"),
    "delete where": lambda c: c.delete(where={"a": 1}),
    "get": lambda c: c.get(),
    "peek": lambda c: c.peek(),
    "query": lambda c: c.query([1.0, 2.0]),
    "count": lambda c: c.count(),
    "modify": lambda c: c.modify(name="other"),
    "compact": lambda c: c.compact(),
    "_repr_html_": lambda c: c._repr_html_(),
}
CLIENT_VERBS = {
    "create_collection": lambda c: c.create_collection("other"),
    "get_or_create_collection": lambda c: c.get_or_create_collection("things"),
    "get_collection": lambda c: c.get_collection("things"),
    "list_collections": lambda c: c.list_collections(),
    "count_collections": lambda c: c.count_collections(),
    "check": lambda c: c.check(),
    "delete_collection": lambda c: c.delete_collection("things"),
}


class Lengths(EmbeddingFunction):
    """A text's length and a constant; remembered by name."""

    def __init__(self, constant: float = 1.0) -> None:
        self.constant = constant

    def __call__(self, input):
        return [[float(len(text)), self.constant] for text in input]

    @staticmethod
    def name():
        return "tests-lengths"

    def get_config(self):
        return {"constant": self.constant}

    @staticmethod
    def build_from_config(config):
        return Lengths(**config)

    def default_space(self):
        return "cosine"


def unnamed(texts):
    """An embedding function without a name."""
    return [[float(len(text)), 1.0] for text in texts]


@pytest.fixture
def lengths(monkeypatch) -> Lengths:
    """A registered embedding function, unregistered when the test ends."""
    monkeypatch.setitem(known_embedding_functions, "tests-lengths", Lengths)
    return Lengths(constant=3.0)


# --- creating and finding --------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_good_name_is_accepted_and_found_again(store, name):
    found = store.reopen(store.collection(name))
    assert name == found.name


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_refused_and_nothing_is_created(client, name):
    with pytest.raises(InvalidArgumentError, match="Expected a name"):
        client.create_collection(name)
    assert client.list_collections() == []


def test_a_name_is_unique(client, collection):
    with pytest.raises(UniqueConstraintError, match="already exists"):
        client.create_collection("things", metadata={"other": True})
    assert [(collection, None)] == [(c, c.metadata) for c in client.list_collections()]


def test_names_differ_by_case(client):
    client.create_collection("things")
    client.create_collection("Things")
    assert client.count_collections() == 2


def test_get_returns_the_collection_of_that_name(client, collection):
    client.create_collection("others")
    assert collection == client.get_collection("things")


def test_finding_one_collection_looks_at_no_other(client):
    ids = [client.create_collection(f"things{i}", embedding_function=None).id for i in range(300)]
    steps: list[int] = []
    space = (client.tenant, client.database)
    with client._backend._opened.catalog.read() as tx:
        tx.set_progress_handler(lambda: steps.append(1), 100)
        found = [*catalog.find(tx, *space, name="things7"), *catalog.find(tx, *space, id=str(ids[7]))]
        tx.set_progress_handler(None, 0)
    assert ([entry.id for entry in found], len(steps) < 5) == ([ids[7]] * 2, True)


def test_a_heartbeat_looks_at_one_collection(client, calls_of):
    for number in range(50):
        client.create_collection(f"things{number}", embedding_function=None)
    assert calls_of(client.heartbeat)[1] < 300


@pytest.mark.parametrize("name", ["nothing", "x", "", "a b", "'; DROP TABLE collections; --", "%"])
def test_getting_a_collection_that_does_not_exist_says_so(client, collection, name):
    with pytest.raises(NotFoundError, match="does not exist"):
        client.get_collection(name)


def test_a_missing_collection_is_also_a_key_error(client):
    with pytest.raises(KeyError):
        client.get_collection("nothing")


def test_get_by_id_returns_the_collection_of_that_id(client, collection):
    client.create_collection("a-before-it")
    assert client.get_collection_by_id(collection.id).name == "things"


@pytest.mark.parametrize("form", [str, lambda given: str(given).upper(), lambda given: given.hex])
def test_an_id_may_be_given_as_text(client, collection, form):
    assert client.get_collection_by_id(form(collection.id)) == collection


@pytest.mark.parametrize("id", ["", "things", "12", 5, None, b"a" * 32])
def test_what_is_no_id_is_refused(client, id):
    with pytest.raises(InvalidArgumentError, match="id to be a uuid"):
        client.get_collection_by_id(id)


def test_getting_an_unknown_id_says_so(client, collection):
    with pytest.raises(NotFoundError):
        client.get_collection_by_id(uuid.UUID(int=7))


def test_get_or_create_creates_once(client):
    first = client.get_or_create_collection("things", metadata={"n": 1})
    assert first == client.get_or_create_collection("things")


def test_get_or_create_leaves_an_existing_collection_as_it_is(store):
    store.client.create_collection("things", metadata={"n": 1})
    store.client.get_or_create_collection(
        "things", metadata={"n": 2}, configuration={"hnsw": {"space": "ip"}}
    )
    found = store.reopen(store.client.get_collection("things"))
    assert (found.metadata, found.configuration_json["hnsw"]["space"]) == ({"n": 1}, "l2")


def test_create_with_get_or_create_returns_the_existing_collection(client, collection):
    assert collection == client.create_collection("things", get_or_create=True)


def test_collections_are_listed_in_order_of_name(client):
    for name in ["pear", "apple", "Quince", "fig"]:
        client.create_collection(name)
    assert [c.name for c in client.list_collections()] == ["Quince", "apple", "fig", "pear"]


@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    [
        (None, None, ["aaa", "bbb", "ccc"]),
        (2, None, ["aaa", "bbb"]),
        (None, 1, ["bbb", "ccc"]),
        (1, 1, ["bbb"]),
        (0, None, []),
        (5, 9, []),
        (2**70, 2**70, []),
        (2**70, None, ["aaa", "bbb", "ccc"]),
    ],
)
def test_a_page_of_collections(client, limit, offset, expected):
    for name in ["ccc", "aaa", "bbb"]:
        client.create_collection(name)
    assert expected == [c.name for c in client.list_collections(limit, offset)]


def test_listed_collections_can_be_used(client, collection):
    collection.add(ids="a", embeddings=[1, 2])
    assert [c.count() for c in client.list_collections()] == [1]


def test_collections_are_counted(client):
    counts = [client.count_collections()]
    for name in ["one", "two"]:
        client.create_collection(name)
        counts.append(client.count_collections())
    assert counts == [0, 1, 2]


def test_collections_do_not_share_records(store):
    one = store.collection("one", ids=["a"], embeddings=[[1, 2]])
    store.collection("two", ids=["a", "b"], embeddings=[[1, 2, 3], [4, 5, 6]])
    assert store.reopen(one).get()["ids"] == ["a"]


def test_ephemeral_clients_share_nothing(new_client):
    one, two = new_client(), new_client()
    one.create_collection("things")
    assert two.list_collections() == []


def test_a_plain_client_is_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with vicinal.Client() as client:
        client.create_collection("things", embedding_function=None).add(ids="a", embeddings=[1, 2])
    assert list(tmp_path.iterdir()) == []


def test_persistent_clients_of_one_directory_share_everything(new_client, tmp_path):
    one, two = new_client(tmp_path), new_client(tmp_path)
    one.create_collection("things", embedding_function=None).add(ids="a", embeddings=[1, 2])
    assert two.get_collection("things").count() == 1


def test_a_path_may_be_a_string_and_need_not_exist(tmp_path):
    with vicinal.PersistentClient(str(tmp_path / "deep" / "down")) as client:
        assert client.list_collections() == []


def test_without_a_path_the_directory_is_called_vicinal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vicinal.PersistentClient().close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["vicinal"]


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no directory that somebody works in")
def test_without_a_working_directory_a_relative_path_leads_nowhere(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(StorageError, match="relative to the working directory, which cannot be found"):
        vicinal.PersistentClient("data")


# --- what a collection keeps -----------------------------------------------------------------


def test_a_collection_knows_who_it_is(store):
    made = store.collection()
    found = store.reopen(made)
    facts = [(c.id, c.name, c.tenant, c.database, c.metadata) for c in (made, found)]
    assert [(made.id, "things", "default_tenant", "default_database", None)] * 2 == facts


@pytest.mark.parametrize(
    "metadata", [{}, {"a": 1}, {"nested": {"list": [1, "x", None], "ü": {}}}, {"n": None}]
)
def test_collection_metadata_comes_back_equal(store, metadata):
    made = store.client.create_collection("things", metadata=metadata)
    assert metadata == store.reopen(made).metadata


def test_changing_returned_collection_metadata_changes_nothing(client):
    made = client.create_collection("things", metadata={"a": 1, "deep": {"b": [1]}})
    made.metadata["a"] = 2
    made.metadata["deep"]["b"].append(2)
    assert made.metadata == {"a": 1, "deep": {"b": [1]}}


def test_changing_given_collection_metadata_afterwards_changes_nothing(client):
    given = {"a": {"b": 1}}
    made = client.create_collection("things", metadata=given)
    given["a"]["b"] = 2
    assert made.metadata == {"a": {"b": 1}}


def test_configuration_has_chromas_shape(store):
    found = store.reopen(store.collection())
    assert found.configuration_json == {"hnsw": HNSW_DEFAULTS, "spann": None, "embedding_function": None}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("space", "cosine"), ("space", "ip"), ("ef_construction", 7), ("ef_search", 300)),
        *(("max_neighbors", 32), ("sync_threshold", 5), ("resize_factor", 2.0)),
    ],
)
def test_a_configured_value_is_kept(store, key, value):
    made = store.client.create_collection("things", configuration={"hnsw": {key: value}})
    assert {**HNSW_DEFAULTS, key: value} == store.reopen(made).configuration_json["hnsw"]


def test_a_value_of_none_is_one_that_was_not_given(store):
    nothing = dict.fromkeys(key for key in HNSW_DEFAULTS if key != "space")
    made = store.client.create_collection("things", configuration={"hnsw": nothing})
    assert store.reopen(made).configuration_json["hnsw"] == HNSW_DEFAULTS
    older = store.client.create_collection(
        "older", configuration={"hnsw": {"ef_search": None}}, metadata={"hnsw:search_ef": 7}
    )
    assert older.configuration_json["hnsw"]["ef_search"] == 7


def test_a_configuration_can_be_copied_to_another_collection(client):
    first = client.create_collection("first")
    second = client.create_collection("second", configuration={"hnsw": first.configuration["hnsw"]})
    assert second.configuration_json == first.configuration_json


@pytest.mark.parametrize(
    ("legacy", "key", "value"),
    [
        *(("hnsw:space", "space", "cosine"), ("hnsw:construction_ef", "ef_construction", 7)),
        *(("hnsw:search_ef", "ef_search", 7), ("hnsw:M", "max_neighbors", 7)),
        *(("hnsw:sync_threshold", "sync_threshold", 7), ("hnsw:resize_factor", "resize_factor", 7)),
    ],
)
def test_the_older_metadata_keys_configure(store, legacy, key, value):
    made = store.client.create_collection("things", metadata={legacy: value, "other": 1})
    found = store.reopen(made)
    assert ({**HNSW_DEFAULTS, key: value}, value) == (
        found.configuration_json["hnsw"],
        found.metadata[legacy],
    )


def test_configuration_wins_over_the_older_metadata_keys(client):
    made = client.create_collection(
        "things", configuration={"hnsw": {"space": "ip"}}, metadata={"hnsw:space": "cosine", "hnsw:M": 7}
    )
    assert made.configuration_json["hnsw"] == {**HNSW_DEFAULTS, "space": "ip", "max_neighbors": 7}


def test_of_a_spann_index_only_the_space_is_taken(client):
    spann = {"space": "cosine", "search_nprobe": 3}
    made = client.create_collection("things", configuration={"spann": spann})
    assert made.configuration_json["hnsw"] == {**HNSW_DEFAULTS, "space": "cosine"}
    with pytest.raises(InvalidArgumentError, match="cannot both"):
        client.create_collection("other", configuration={"spann": spann, "hnsw": {"space": "l2"}})


# --- changing --------------------------------------------------------------------------------


def test_a_renamed_collection_is_found_under_its_new_name_only(store):
    made = store.collection(ids=["a"], embeddings=[[1, 2]])
    made.modify(name="renamed")
    found = store.reopen(made)
    assert (["renamed"], made.id, 1) == (
        [c.name for c in store.client.list_collections()],
        found.id,
        found.count(),
    )


def test_renaming_to_a_taken_name_changes_nothing(client, collection):
    client.create_collection("taken")
    with pytest.raises(UniqueConstraintError, match="already exists"):
        collection.modify(name="taken", metadata={"a": 1})
    assert (collection.name, client.get_collection("things").metadata) == ("things", None)


def test_renaming_to_its_own_name_is_allowed(collection):
    collection.modify(name="things")
    assert collection.name == "things"


@pytest.mark.parametrize("name", ["ab", "a..b", "1.2.3.4", ""])
def test_renaming_follows_the_rules_of_names(collection, name):
    with pytest.raises(InvalidArgumentError, match="new_name: Expected a name"):
        collection.modify(name=name)
    assert collection.name == "things"


def test_modified_metadata_replaces_the_old(store):
    made = store.client.create_collection("things", metadata={"a": 1, "b": 2})
    made.modify(metadata={"b": 3})
    assert (made.metadata, store.reopen(made).metadata) == ({"b": 3}, {"b": 3})


def test_modifying_nothing_changes_nothing(client):
    made = client.create_collection("things", metadata={"a": 1})
    made.modify()
    assert (made.name, made.metadata) == ("things", {"a": 1})


def test_the_space_cannot_be_modified(collection):
    with pytest.raises(InvalidArgumentError, match="Changing the distance function"):
        collection.modify(metadata={"hnsw:space": "cosine"})
    assert collection.configuration_json["hnsw"]["space"] == "l2"


def test_another_handle_follows_a_rename_by_its_id(client, collection):
    other = client.get_collection("things")
    collection.modify(name="renamed")
    other.add(ids="a", embeddings=[1, 2])
    assert client.get_collection("renamed").count() == 1


# --- deleting --------------------------------------------------------------------------------


def test_a_deleted_collection_is_gone(store):
    store.collection("kept")
    store.collection("gone")
    store.client.delete_collection("gone")
    store.reopen(store.client.get_collection("kept"))
    assert [c.name for c in store.client.list_collections()] == ["kept"]


def test_deleting_a_collection_that_does_not_exist_says_so(client):
    with pytest.raises(NotFoundError, match="does not exist"):
        client.delete_collection("nothing")


@pytest.mark.parametrize("verb", VERBS)
def test_a_handle_of_a_deleted_collection_says_that_it_is_gone(client, collection, verb):
    collection.add(ids="x", embeddings=[1, 2])
    client.delete_collection("things")
    with pytest.raises(NotFoundError, match=f"Collection .{collection.id}. does not exist"):
        VERBS[verb](collection)


def test_a_collection_created_again_is_new_and_empty(client, collection):
    collection.add(ids="a", embeddings=[1, 2])
    client.delete_collection("things")
    again = client.create_collection("things", embedding_function=None)
    again.add(ids="b", embeddings=[1, 2, 3])  # another dimension
    assert (again.id != collection.id, again.get()["ids"]) == (True, ["b"])


def test_an_old_handle_does_not_see_the_new_collection_of_its_name(client, collection):
    client.delete_collection("things")
    client.create_collection("things")
    with pytest.raises(NotFoundError):
        collection.count()


def test_deleting_frees_the_disk(new_client, tmp_path):
    client = new_client(tmp_path)
    client.create_collection("things", embedding_function=None).add(ids="a", embeddings=[1, 2])
    client.delete_collection("things")
    assert list((tmp_path / "collections").iterdir()) == []


def test_of_a_deleted_collection_nothing_is_held(client, collection):
    """Even if the background worked for it last: its mapped vectors would keep their place on the disk."""
    collection.add(ids="a", embeddings=[1, 2])
    wait_for_index(collection)
    with client._backend._opened.using(collection.id) as live:
        held = weakref.ref(live)
    del live
    client.delete_collection("things")
    gc.collect()
    assert held() is None


# --- closing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_a_collection_of_a_closed_client_says_so(client, collection, verb):
    collection.add(ids="x", embeddings=[1, 2])
    client.close()
    with pytest.raises(ClosedError, match="client is closed"):
        VERBS[verb](collection)


@pytest.mark.parametrize("verb", CLIENT_VERBS)
def test_a_closed_client_says_so(client, collection, verb):
    client.close()
    with pytest.raises(ClosedError, match="client is closed"):
        CLIENT_VERBS[verb](client)


def test_closing_twice_is_harmless(client):
    client.close()
    client.close()


def test_leaving_the_context_closes(new_client):
    with new_client() as client:
        made = client.create_collection("things")
    with pytest.raises(ClosedError):
        made.count()


def test_an_error_inside_the_context_passes_through_and_closes(new_client):
    client = new_client()
    with pytest.raises(ZeroDivisionError), client:
        1 / 0  # noqa: B018
    with pytest.raises(ClosedError):
        client.list_collections()


def test_closing_one_client_leaves_another_of_the_same_directory_open(new_client, tmp_path):
    one, two = new_client(tmp_path), new_client(tmp_path)
    one.close()
    assert two.create_collection("things").name == "things"


# --- embedding functions ---------------------------------------------------------------------


def test_the_embedding_function_is_remembered_by_name_and_configuration(store):
    made = store.client.create_collection("things", embedding_function=HashEmbeddingFunction(dimension=8))
    made.add(ids=["a", "b"], documents=["red apple", "blue sky"])
    found = store.reopen(made)
    assert found.query(query_texts="sky", n_results=1)["ids"] == [["b"]]


def test_the_stored_description_of_a_function(store, lengths):
    made = store.client.create_collection("things", embedding_function=lengths)
    expected = {"type": "known", "name": "tests-lengths", "config": {"constant": 3.0}}
    assert expected == store.reopen(made).configuration_json["embedding_function"]


def test_a_reopened_collection_builds_its_function_from_its_configuration(store, lengths):
    made = store.client.create_collection("things", embedding_function=lengths)
    found = store.reopen(made).configuration["embedding_function"]
    assert (Lengths, 3.0) == (type(found), found.constant)


def test_a_function_with_a_name_is_registered_by_its_use(client, monkeypatch):
    monkeypatch.setitem(known_embedding_functions, "tests-lengths", Lengths)
    monkeypatch.delitem(known_embedding_functions, "tests-lengths")
    client.create_collection("things", embedding_function=Lengths())
    assert Lengths is known_embedding_functions["tests-lengths"]


def test_the_space_of_a_new_collection_is_its_functions(client, lengths):
    made = client.create_collection("things", embedding_function=lengths)
    assert made.configuration_json["hnsw"]["space"] == "cosine"


def test_a_configured_space_wins_over_the_functions(client, lengths):
    made = client.create_collection(
        "things", embedding_function=lengths, configuration={"hnsw": {"space": "ip"}}
    )
    assert made.configuration_json["hnsw"]["space"] == "ip"


def test_the_function_may_stand_in_the_configuration(store, lengths):
    made = store.client.create_collection("things", configuration={"embedding_function": lengths})
    made.add(ids="a", documents="four")
    assert store.reopen(made).get(include=["embeddings"])["embeddings"].tolist() == [[4.0, 3.0]]


def test_an_unnamed_function_in_the_configuration_is_used(client):
    made = client.create_collection("things", configuration={"embedding_function": unnamed})
    made.add(ids="a", documents="four")
    assert made.get(include=["embeddings"])["embeddings"].tolist() == [[4.0, 1.0]]


def test_a_collection_is_made_of_the_configuration_json_of_another(store, lengths):
    configuration = {
        "hnsw": {"space": "ip", "ef_search": 9},
        "embedding_function": lengths,
        "expiry": {"ttl_s": 100},
        "text": {"language": None, "stop_words": ["the"]},
    }
    described = store.client.create_collection("things", configuration=configuration).configuration_json
    assert described["text"] | configuration["text"] == described["text"]
    again = store.reopen(store.client.create_collection("others", configuration=described))
    assert described == again.configuration_json
    again.add(ids="a", documents="four")
    assert [[4.0, 3.0]] == again.get(include=["embeddings"])["embeddings"].tolist()


def test_a_function_that_was_not_remembered_is_none_in_another_collection(client):
    described = client.create_collection("things", embedding_function=unnamed).configuration_json
    assert {"type": "legacy"} == described["embedding_function"]
    again = client.create_collection("others", configuration=described)
    assert again.embedding_function is None
    given = client.create_collection("more", configuration=described, embedding_function=unnamed)
    assert given.embedding_function is unnamed


@pytest.mark.parametrize("function", [{"name": "tests-lengths"}, {"type": "known"}])
def test_what_describes_no_function_is_refused(client, function):
    with pytest.raises(InvalidArgumentError, match=r"embedding_function|'name'"):
        client.create_collection("things", configuration={"embedding_function": function})


def test_two_functions_at_once_are_refused(client, lengths):
    for one, other in [(lengths, unnamed), (unnamed, lambda input: [[1.0]])]:
        with pytest.raises(InvalidArgumentError, match="Multiple embedding functions"):
            client.create_collection(
                "things", embedding_function=one, configuration={"embedding_function": other}
            )
    assert client.count_collections() == 0


def test_one_function_may_be_named_twice(client, lengths):
    for name, one, other in [("unnamed", unnamed, unnamed), ("named", lengths, copy.copy(lengths))]:
        made = client.create_collection(
            name, embedding_function=one, configuration={"embedding_function": other}
        )
        assert made.embedding_function is one


@pytest.mark.parametrize("verb", ["get_collection", "get_or_create_collection"])
def test_opening_with_a_function_of_another_name_is_a_conflict(client, lengths, verb):
    client.create_collection("things", embedding_function=lengths)
    with pytest.raises(
        EmbeddingFunctionError, match=r"new: vicinal-testing-hash vs persisted: tests-lengths"
    ):
        getattr(client, verb)("things", embedding_function=HashEmbeddingFunction())


def test_opening_with_a_function_of_another_configuration_is_a_conflict(client):
    client.create_collection("things", embedding_function=HashEmbeddingFunction(8))
    with pytest.raises(EmbeddingFunctionError, match="conflict"):
        client.get_collection("things", embedding_function=HashEmbeddingFunction(16))


def test_opening_with_an_equal_function_is_no_conflict(store):
    made = store.client.create_collection("things", embedding_function=HashEmbeddingFunction(8))
    store.reopen(made)
    assert made.id == store.client.get_collection("things", embedding_function=HashEmbeddingFunction(8)).id


def test_the_default_never_conflicts(client, lengths):
    client.create_collection("things")
    found = client.get_collection("things", embedding_function=lengths)
    assert found.embedding_function is lengths


def test_a_collection_without_a_function_takes_the_one_it_is_opened_with(client, collection, lengths):
    client.get_collection("things", embedding_function=lengths).add(ids="a", documents="four")
    assert collection.get(include=["embeddings"])["embeddings"].tolist() == [[4.0, 3.0]]


def test_an_unnamed_function_must_be_passed_again(store):
    made = store.client.create_collection("things", embedding_function=unnamed)
    made.add(ids="a", documents="four")
    found = store.reopen(made)
    if found is made:  # in memory the handle still has it; a new handle does not
        found = store.client.get_collection("things")
    with pytest.raises(EmbeddingFunctionError, match=r"pass embedding_function=\.\.\. to get_collection"):
        found.query(query_texts="four")


def test_an_unnamed_function_passed_again_works(store):
    made = store.client.create_collection("things", embedding_function=unnamed)
    made.add(ids="a", documents="four")
    store.reopen(made)
    found = store.client.get_collection("things", embedding_function=unnamed)
    assert found.query(query_texts="four")["distances"] == [[0.0]]


def test_text_without_any_function_is_an_error_that_says_what_to_do(collection):
    with pytest.raises(EmbeddingFunctionError, match='"things" has no embedding function; pass embeddings'):
        collection.add(ids="a", documents="text")
    assert collection.count() == 0


@pytest.fixture
def orphan(store, monkeypatch):
    """A collection whose embedding function is no longer known."""
    monkeypatch.setitem(known_embedding_functions, "tests-lengths", Lengths)
    made = store.client.create_collection("things", embedding_function=Lengths())
    made.add(ids="a", documents="four")
    monkeypatch.delitem(known_embedding_functions, "tests-lengths")
    store.reopen(made)
    return store.client.get_collection("things")


def test_an_unknown_function_is_no_obstacle_to_reading(orphan):
    assert orphan.query([4.0, 1.0])["ids"] == [["a"]]


def test_an_unknown_function_is_an_error_on_use(orphan):
    with pytest.raises(EmbeddingFunctionError, match="tests-lengths not found"):
        orphan.query(query_texts="four")
    with pytest.raises(EmbeddingFunctionError, match="tests-lengths not found"):
        orphan.add(ids="b", documents="text")


def test_a_registered_name_belongs_to_one_class(lengths):
    class Other(Lengths):
        pass

    with pytest.raises(EmbeddingFunctionError, match="belongs to"):
        register_embedding_function(Other)


def test_a_class_that_takes_a_known_name_is_refused(client, lengths):
    class Other(Lengths):
        pass

    with pytest.raises(EmbeddingFunctionError, match="belongs to"):
        client.create_collection("things", embedding_function=Other())
    assert client.count_collections() == 0


def test_registering_a_class_again_is_harmless(lengths):
    assert Lengths is register_embedding_function(Lengths)


# --- showing ---------------------------------------------------------------------------------


def test_handles_of_one_collection_are_equal(client, collection):
    other = client.create_collection("others")
    assert {collection, other} == {client.get_collection("things"), client.get_collection("others")}


def test_the_repr_of_a_collection_is_chromas(collection):
    assert repr(collection) == "Collection(name=things)"


def test_a_collection_shows_itself_in_a_notebook(client):
    made = client.create_collection("things", metadata={"topic": "x"}, embedding_function=None)
    made.add(ids=["a", "b"], embeddings=[[1, 2, 3], [4, 5, 6]])
    shown = made._repr_html_()
    assert [part for part in ("things", ">2<", ">3<", "l2", "none", "topic") if part not in shown] == []


def test_a_collection_in_a_notebook_escapes_html(client):
    made = client.create_collection("things", metadata={"<script>": "<b>"}, embedding_function=None)
    shown = made._repr_html_()
    assert ("<script>" in shown, "<b>" in shown) == (False, False)


@pytest.fixture
def evil(collection):
    """A collection whose every text is HTML."""
    collection.add(
        ids="<i>id</i>", embeddings=[1, 2], documents="<b>doc</b>", metadatas={"k": "<u>"}, uris="<s>"
    )
    return collection


def test_results_in_a_notebook_escape_html(evil):
    include = ["documents", "metadatas", "uris"]
    shown = evil.get(include=include)._repr_html_() + evil.query([1, 2], include=include)._repr_html_()
    assert [tag for tag in ("<i>", "<b>", "<u>", "<s>") if tag in shown] == []
    assert [text for text in ("id", "doc", "k: &lt;u", "&lt;s") if text not in shown] == []


def test_objects_are_shown_by_their_dotted_keys(collection):
    collection.add(ids="a", embeddings=[1], metadatas={"a": {"b": {"c": 1}, "d": {}}, "e": [2]})
    assert ">a.b.c: 1, a.d: {}, e: [2]</td>" in collection.get(include=["metadatas"])._repr_html_()


def test_a_get_result_shows_its_columns(evil):
    shown = evil.get()._repr_html_()
    assert [part for part in ("1 record", "document", "metadata", "doc") if part not in shown] == []


def test_a_query_result_shows_a_table_per_query(evil):
    shown = evil.query([[1, 2], [3, 4]])._repr_html_()
    assert (shown.count("<table>"), "8.0000" in shown) == (2, True)


def test_a_result_without_columns_or_records_shows_itself(collection):
    assert "0 records" in collection.get(include=[])._repr_html_()


def test_a_long_result_is_cut_in_a_notebook(collection):
    collection.add(
        ids=[f"id{i}" for i in range(30)], embeddings=[[i] for i in range(30)], documents=["x" * 500] * 30
    )
    shown = collection.get()._repr_html_()
    assert ("… and 10 more" in shown, "x" * 161 in shown, "id19" in shown, "id20" in shown) == (
        *(True, False, True),
        False,
    )


def test_hnsw_metadata_counts_beside_a_configuration_that_leaves_the_graph_alone(client):
    made = client.create_collection(
        "things", metadata={"hnsw:space": "cosine"}, configuration={"text": True}, embedding_function=None
    )
    assert made.configuration_json["hnsw"]["space"] == "cosine"
