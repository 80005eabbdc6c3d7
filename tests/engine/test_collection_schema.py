"""A schema takes filters away and configures the vector index; it is stored with its collection."""

import json
from collections import Counter
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

import vicinal
from vicinal import (
    BoolInvertedIndexConfig,
    FloatInvertedIndexConfig,
    FtsIndexConfig,
    HnswIndexConfig,
    IntInvertedIndexConfig,
    Schema,
    SpannIndexConfig,
    SparseVector,
    SparseVectorIndexConfig,
    StringInvertedIndexConfig,
    VectorIndexConfig,
)
from vicinal.embedding.sparse import SparseEmbeddingFunction, sparse_known_embedding_functions
from vicinal.errors import (
    ArgumentTypeError,
    EmbeddingFunctionError,
    InvalidArgumentError,
    MissingDependencyError,
)
from vicinal.testing import HashEmbeddingFunction

SWITCHES = {
    "string": StringInvertedIndexConfig(),
    "int": IntInvertedIndexConfig(),
    "float": FloatInvertedIndexConfig(),
    "bool": BoolInvertedIndexConfig(),
}
VALUES = {"string": "a", "int": 1, "float": 1.5, "bool": True}
LABELS = {"string": "Str", "int": "Int", "float": "Float", "bool": "Bool"}


class WordLengths(SparseEmbeddingFunction):
    """How many words of each length a text has."""

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, input):
        lengths = [Counter(len(word) for word in text.split()) for text in input]
        return [SparseVector(sorted(n), [self.weight * n[i] for i in sorted(n)]) for n in lengths]

    @staticmethod
    def name():
        return "tests-word-lengths"

    def get_config(self):
        return {"weight": self.weight}

    @staticmethod
    def build_from_config(config):
        return WordLengths(**config)


def made(client: vicinal.Client, schema: Schema, **how: Any) -> vicinal.Collection:
    """A collection with one record of every kind of value under its name, and a document."""
    collection = client.create_collection("things", schema, embedding_function=None, **how)
    collection.add(ids="x", embeddings=[1, 2], metadatas={**VALUES, "other": "a"}, documents="text")
    return collection


# --- the tree --------------------------------------------------------------------------------


def test_at_first_scalars_documents_and_embeddings_are_indexed():
    schema = Schema()
    defaults = schema.defaults
    on = [
        defaults.string.string_inverted_index,
        defaults.int_value.int_inverted_index,
        defaults.float_value.float_inverted_index,
        defaults.boolean.bool_inverted_index,
        schema.keys["#document"].string.fts_index,
        schema.keys["#embedding"].float_list.vector_index,
    ]
    off = [
        defaults.string.fts_index,
        defaults.float_list.vector_index,
        defaults.sparse_vector.sparse_vector_index,
        schema.keys["#document"].string.string_inverted_index,
    ]
    assert ([i.enabled for i in on], [i.enabled for i in off]) == ([True] * 6, [False] * 4)
    assert schema.vector_index.source_key == "#document"


def test_an_index_of_a_key_is_its_own():
    schema = Schema().delete_index(StringInvertedIndexConfig(), key="body")
    assert schema.keys["body"].string.string_inverted_index.enabled is False
    assert schema.defaults.string.string_inverted_index.enabled is True
    assert schema.keys["body"].int_value is None


def test_calls_are_chained_and_the_last_one_counts():
    config = IntInvertedIndexConfig()
    schema = Schema().delete_index(config, "n").create_index(config, "n").delete_index(config)
    assert schema.keys["n"].int_value.int_inverted_index.enabled is True
    assert schema.defaults.int_value.int_inverted_index.enabled is False


def test_a_vector_index_is_configured_without_a_key():
    schema = Schema().create_index(VectorIndexConfig(space="cosine", hnsw=HnswIndexConfig(ef_search=7)))
    own, default = schema.vector_index, schema.defaults.float_list.vector_index
    assert (own.space, own.hnsw.ef_search, own.source_key) == ("cosine", 7, "#document")
    assert (default.enabled, default.config.space) == (False, "cosine")


def test_keys_of_the_search_api_are_keys():
    key = SimpleNamespace(name="body")
    schema = Schema().delete_index(StringInvertedIndexConfig(), key=key)
    assert schema.keys["body"].string.string_inverted_index.enabled is False
    assert VectorIndexConfig(source_key=SimpleNamespace(name="#document")).source_key == "#document"


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s,
        lambda s: s.delete_index(BoolInvertedIndexConfig()),
        lambda s: s.delete_index(FtsIndexConfig(), "#document"),
        lambda s: s.create_index(
            VectorIndexConfig(space="ip", embedding_function=HashEmbeddingFunction(8), hnsw=HnswIndexConfig())
        ),
        lambda s: s.create_index(VectorIndexConfig(spann=SpannIndexConfig(search_nprobe=3))),
        lambda s: s.create_index(SparseVectorIndexConfig(bm25=True), key="words"),
        lambda s: s.create_index(
            SparseVectorIndexConfig(embedding_function=WordLengths(3), source_key="#document"), key="words"
        ),
    ],
)
def test_a_schema_comes_back_from_its_json(change):
    schema = change(Schema())
    written = json.loads(json.dumps(schema.serialize_to_json()))
    assert Schema.deserialize_from_json(written) == schema
    assert Schema.deserialize_from_json(written).serialize_to_json() == written
    assert schema not in (Schema().delete_index(IntInvertedIndexConfig(), key="else"), written)


def test_the_json_is_chromas():
    written = Schema().serialize_to_json()
    assert written["defaults"]["int"] == {"int_inverted_index": {"enabled": True, "config": {}}}
    assert written["keys"]["#document"] == {
        "string": {
            "fts_index": {"enabled": True, "config": {}},
            "string_inverted_index": {"enabled": False, "config": {}},
        }
    }
    assert list(written["defaults"]) == ["string", "float_list", "sparse_vector", "int", "float", "bool"]


CREATE: dict[str, tuple[Any, ...]] = {
    "Must specify either config or key": (None, None),
    "on specific keys": (VectorIndexConfig(), "body"),
    "FTS index can only be enabled on #document": (FtsIndexConfig(), "body"),
    "FTS index can only": (FtsIndexConfig(), None),
    "must be created on a specific key": (SparseVectorIndexConfig(), None),
    "Cannot create index on special key '#embedding'": (StringInvertedIndexConfig(), "#embedding"),
    "Cannot create index on special key '#document'": (StringInvertedIndexConfig(), "#document"),
    "key cannot begin with '#'": (StringInvertedIndexConfig(), "#id"),
    "Cannot enable all index types for key 'body'": (None, "body"),
    "embedding_function must also be provided": (SparseVectorIndexConfig(source_key="a"), "body"),
    "an index configuration": ("string", "body"),
    "a str or a Key": (StringInvertedIndexConfig(), 3),
}
DELETE: dict[str, tuple[Any, ...]] = {
    "Cannot disable all indexes": (None, None),
    "Cannot modify #embedding": (StringInvertedIndexConfig(), "#embedding"),
    "Cannot delete index on special key '#document'": (StringInvertedIndexConfig(), "#document"),
    "key cannot begin with '#'": (StringInvertedIndexConfig(), "#score"),
    "Deleting vector index is not currently supported": (VectorIndexConfig(), None),
    "Deleting sparse vector index is not": (SparseVectorIndexConfig(), "body"),
    "Deleting FTS index is only supported on #document": (FtsIndexConfig(), None),
    "Cannot disable all index types for key 'body'": (None, "body"),
}


@pytest.mark.parametrize(("text", "arguments"), CREATE.items())
def test_what_cannot_be_created_is_refused_and_changes_nothing(text, arguments):
    schema = Schema()
    with pytest.raises(ValueError, match=text):
        schema.create_index(*arguments)
    assert schema == Schema()


@pytest.mark.parametrize(("text", "arguments"), DELETE.items())
def test_what_cannot_be_deleted_is_refused_and_changes_nothing(text, arguments):
    schema = Schema()
    with pytest.raises(ValueError, match=text):
        schema.delete_index(*arguments)
    assert schema == Schema()


def test_there_is_at_most_one_sparse_index():
    schema = Schema().create_index(SparseVectorIndexConfig(), key="words")
    schema.create_index(SparseVectorIndexConfig(bm25=True), key="words")
    with pytest.raises(InvalidArgumentError, match="already enabled on key 'words'"):
        schema.create_index(SparseVectorIndexConfig(), key="more")
    assert "more" not in schema.keys


def of_function(description):
    """A schema whose sparse vectors are made by what is described."""
    index = {"enabled": True, "config": {"embedding_function": description}}
    return {"keys": {"words": {"sparse_vector": {"sparse_vector_index": index}}}}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: HnswIndexConfig(bogus=1), "'bogus' is not a valid field for HnswIndexConfig"),
        (lambda: StringInvertedIndexConfig(x=1), "'x' is not a valid field"),
        (lambda: HnswIndexConfig(ef_search="many"), "HnswIndexConfig.ef_search"),
        (lambda: VectorIndexConfig(space="bad"), "VectorIndexConfig.space"),
        (lambda: VectorIndexConfig(source_key="#id"), "source_key cannot begin with '#'"),
        (lambda: VectorIndexConfig(source_key=3), "source_key must be str or Key"),
        (lambda: VectorIndexConfig(embedding_function=3), "must be a callable or None"),
        (lambda: SparseVectorIndexConfig(embedding_function=int), "must be a callable or None"),
    ],
)
def test_a_bad_configuration_is_refused(make, text):
    with pytest.raises(InvalidArgumentError, match=text):
        make()


@pytest.mark.parametrize(
    ("json", "place"),
    [
        ([], "schema: expected a JSON object"),
        ({"defaults": "all"}, "defaults: expected a JSON object, got 'all'"),
        ({"keys": ["a"]}, "keys: expected"),
        ({"keys": {"a": 1}}, "keys.a: expected"),
        ({"keys": {"a": {"int": True}}}, "keys.a.int: expected"),
        ({"defaults": {"string": {"fts_index": "on"}}}, "defaults.string.fts_index: expected"),
        ({"defaults": {"bool": {"bool_inverted_index": {"enabled": "no"}}}}, "enabled: expected a bool"),
        ({"defaults": {"float": {"float_inverted_index": {"config": 3}}}}, "index.config: expected"),
        (of_function("text"), "embedding_function: expected"),
        (of_function({"type": "known"}), "a name is missing"),
        (of_function({"type": "known", "name": 3}), "a name is missing"),
    ],
)
def test_what_is_no_schema_is_refused(json, place):
    with pytest.raises(InvalidArgumentError, match=place):
        Schema.deserialize_from_json(json)


@pytest.mark.parametrize(
    "json", [{"keys": None}, {"keys": {"a": None}}, {"keys": {"a": {"int": None}}}, of_function(None)]
)
def test_parts_of_a_schema_may_be_null(json):
    assert isinstance(Schema.deserialize_from_json(json).serialize_to_json(), dict)


def test_a_sparse_function_that_refuses_its_own_configuration_is_not_remembered(client):
    class Picky(WordLengths):
        @staticmethod
        def validate_config(config):
            raise ValueError("never again")

    schema = Schema().create_index(SparseVectorIndexConfig(embedding_function=Picky()), key="words")
    with pytest.raises(ValueError, match="never again"):
        client.create_collection("things", schema=schema)
    assert [] == client.list_collections()


# --- collections -----------------------------------------------------------------------------


def test_a_schema_is_stored(store):
    schema = Schema().delete_index(StringInvertedIndexConfig(), key="body")
    found = store.reopen(made(store.client, schema)).schema
    assert found.keys["body"] == schema.keys["body"]
    assert found.defaults.string == schema.defaults.string


def test_a_collection_without_a_schema_has_the_usual_one(client):
    collection = client.create_collection(
        "things", configuration={"hnsw": {"space": "ip", "ef_search": 7}}, embedding_function=None
    )
    index = collection.schema.vector_index
    assert (index.space, index.hnsw.ef_search, index.embedding_function) == ("ip", 7, None)
    assert collection.schema.keys.keys() == {"#document", "#embedding"}


def test_the_schema_configures_the_index_and_the_function(store):
    config = VectorIndexConfig(
        space="cosine", embedding_function=HashEmbeddingFunction(8), hnsw=HnswIndexConfig(ef_search=7)
    )
    collection = store.reopen(store.client.create_collection("things", Schema().create_index(config)))
    assert (collection.configuration_json["hnsw"]["space"], collection.schema.vector_index.space) == (
        "cosine",
        "cosine",
    )
    collection.add(ids="a", documents="red apple")
    assert len(collection.get(include=["embeddings"])["embeddings"][0]) == 8


def test_a_schema_is_read_where_its_functions_cannot_be_made(client, monkeypatch):
    def refuse(config):
        raise MissingDependencyError(feature="It", package="wings", extra="air")

    schema = Schema().create_index(
        SparseVectorIndexConfig(source_key="#document", embedding_function=WordLengths()), "words"
    )
    schema.create_index(VectorIndexConfig(embedding_function=HashEmbeddingFunction(8)))
    client.create_collection("things", schema)
    monkeypatch.setattr(HashEmbeddingFunction, "build_from_config", staticmethod(refuse))
    monkeypatch.setattr(WordLengths, "build_from_config", staticmethod(refuse))
    found = client.get_collection("things").schema
    assert found.vector_index.embedding_function is None
    assert found.keys["words"].sparse_vector.sparse_vector_index.config.embedding_function is None


def test_the_schema_follows_a_changed_configuration(client):
    collection = made(client, Schema())
    collection.modify(configuration={"hnsw": {"ef_search": 77}})
    assert collection.schema.vector_index.hnsw.ef_search == 77


def test_changing_the_returned_schema_changes_nothing(client):
    collection = made(client, Schema())
    collection.schema.delete_index(StringInvertedIndexConfig())
    assert collection.get(where={"string": "a"})["ids"] == ["x"]


def test_an_existing_collection_keeps_its_schema(client):
    made(client, Schema().delete_index(StringInvertedIndexConfig()))
    again = client.get_or_create_collection("things", Schema())
    with pytest.raises(InvalidArgumentError, match="indexing is disabled"):
        again.get(where={"string": "a"})


@pytest.mark.parametrize(
    ("index", "configuration", "space", "ef_search"),
    [
        ({}, {"hnsw": {"space": "ip", "ef_search": 9}}, "ip", 9),
        ({}, {"spann": {"space": "ip"}}, "ip", None),
        ({}, {"hnsw": None, "embedding_function": None}, "l2", None),
        ({"space": "ip"}, {"hnsw": {"ef_search": 9}}, "ip", 9),
        ({"space": "ip"}, {"hnsw": {"space": "ip"}}, "ip", None),
        ({"hnsw": HnswIndexConfig(ef_search=9)}, {"hnsw": {"space": "ip"}}, "ip", 9),
    ],
)
def test_what_a_schema_leaves_open_a_configuration_may_say(store, index, configuration, space, ef_search):
    schema = Schema().delete_index(StringInvertedIndexConfig(), "body")
    schema.create_index(VectorIndexConfig(**index))
    collection = store.reopen(store.client.create_collection("things", schema, configuration))
    hnsw = collection.configuration_json["hnsw"]
    assert (space, ef_search) == (hnsw["space"], hnsw.get("ef_search"))
    assert (space, False) == (
        collection.schema.vector_index.space,
        collection.schema.keys["body"].string.string_inverted_index.enabled,
    )


def test_a_schema_takes_the_function_of_a_configuration(store):
    configuration = {"embedding_function": HashEmbeddingFunction(8)}
    collection = store.reopen(store.client.create_collection("things", Schema(), configuration))
    collection.add(ids="a", documents="red apple")
    assert len(collection.get(include=["embeddings"])["embeddings"][0]) == 8


def test_a_configuration_must_not_contradict_the_schema(client):
    index = VectorIndexConfig(space="cosine", embedding_function=HashEmbeddingFunction(8))
    schema = Schema().create_index(index)
    with pytest.raises(InvalidArgumentError, match="schema's vector index has space='cosine', the config"):
        client.create_collection("things", schema, {"hnsw": {"space": "ip"}})
    with pytest.raises(InvalidArgumentError, match="Multiple embedding functions"):
        client.create_collection("things", schema, {"embedding_function": HashEmbeddingFunction(9)})
    with pytest.raises(ArgumentTypeError, match="configuration"):
        client.create_collection("things", schema, 7)
    assert 0 == client.count_collections()


def test_expiry_may_be_configured_beside_a_schema(client):
    collection = made(client, Schema(), configuration={"expiry": {"ttl_s": 100}})
    assert "expires_at" in collection.get()["metadatas"][0]


# --- filters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SWITCHES)
def test_a_filter_on_a_kind_that_is_not_indexed_is_refused(client, kind):
    collection = made(client, Schema().delete_index(SWITCHES[kind]))
    text = (
        f"Cannot filter using metadata key '{kind}' with type '{LABELS[kind]}' because indexing is disabled"
    )
    for where in (
        {kind: VALUES[kind]},
        {"$and": [{kind: {"$in": [VALUES[kind]]}}, {"z": {"$exists": True}}]},
    ):
        with pytest.raises(ValueError, match=text):
            collection.get(where=where)
    others = [other for other in SWITCHES if other != kind]
    assert [collection.get(where={other: VALUES[other]})["ids"] for other in others] == [["x"]] * 3


def test_a_key_may_be_turned_off_alone_and_on_alone(client):
    config = StringInvertedIndexConfig()
    collection = made(client, Schema().delete_index(config).create_index(config, key="string"))
    assert collection.get(where={"string": {"$like": "a%"}})["ids"] == ["x"]
    with pytest.raises(InvalidArgumentError, match="key 'other'"):
        collection.get(where={"other": {"$like": "a%"}})


@pytest.mark.parametrize(
    "where",
    [
        {"string": {"$ne": "a"}},
        {"string": {"$nin": ["a"]}},
        {"string": {"$contains": "a"}},
        {"string": {"$gt": "a"}},
        {"string": {"$startswith": "a"}},
        {"string": {"$regex": "a"}},
        {"$or": [{"int": 1}, {"$not": {"string": "a"}}]},
    ],
)
def test_every_operator_is_guarded(client, where):
    collection = made(client, Schema().delete_index(StringInvertedIndexConfig(), key="string"))
    verbs = [
        lambda: collection.query([1, 2], where=where),
        lambda: collection.delete(where=where),
        lambda: collection.count(where=where),
        lambda: collection.facets("int", where=where),
        lambda: collection.update(where=where, metadatas={"z": 1}),
    ]
    for verb in verbs:
        with pytest.raises(InvalidArgumentError, match="indexing is disabled"):
            verb()


def test_another_kind_of_value_under_the_key_may_be_asked_for(client):
    collection = made(client, Schema().delete_index(StringInvertedIndexConfig(), key="string"))
    assert collection.get(where={"string": 3})["ids"] == []
    assert collection.get(where={"string": {"$exists": True}})["ids"] == ["x"]
    for other in (date(2020, 1, 1), b"a"):
        assert collection.get(where={"string": other})["ids"] == []


def test_what_a_schema_says_nothing_of_is_indexed(client):
    collection = made(client, Schema.deserialize_from_json({}))
    assert collection.get(where={"string": "a"}, where_document={"$contains": "t"})["ids"] == ["x"]


def test_documents_need_their_index(client):
    collection = made(client, Schema().delete_index(FtsIndexConfig(), key="#document"))
    for condition in ({"where_document": {"$contains": "t"}}, {"where": {"#document": {"$contains": "t"}}}):
        with pytest.raises(InvalidArgumentError, match="FTS indexing is disabled"):
            collection.get(**condition)


def test_ids_are_always_indexed(client):
    collection = made(client, Schema().delete_index(StringInvertedIndexConfig()))
    assert collection.get(where={"#id": "x"})["ids"] == ["x"]


def test_a_sparse_index_is_kept(store):
    schema = Schema().create_index(SparseVectorIndexConfig(bm25=True), key="words")
    found = store.reopen(made(store.client, schema)).schema
    index = found.keys["words"].sparse_vector.sparse_vector_index
    assert (index.enabled, index.config.bm25) == (True, True)


# --- sparse vectors made from text -----------------------------------------------------------------


@pytest.fixture
def worded(client, monkeypatch):
    """`worded("#document")`: a collection that makes sparse vectors under "words" from there."""
    monkeypatch.setitem(sparse_known_embedding_functions, WordLengths.name(), WordLengths)

    def make(source: str, function: Any = None) -> vicinal.Collection:
        config = SparseVectorIndexConfig(embedding_function=function or WordLengths(2), source_key=source)
        return client.create_collection(
            "worded", Schema().create_index(config, key="words"), embedding_function=None
        )

    return make


def words(collection: vicinal.Collection) -> list[Any]:
    return [(metadata or {}).get("words") for metadata in collection.get()["metadatas"]]


def test_documents_become_sparse_vectors(worded):
    made = worded("#document")
    made.add(ids=["a", "b"], embeddings=[[1], [2]], documents=["a bb cc", None])
    assert made.get()["metadatas"] == [{"words": SparseVector([1, 2], [2.0, 4.0])}, None]


def test_a_metadata_value_becomes_a_sparse_vector(worded):
    made = worded("title.en")
    metadatas = [{"title": {"en": "bb"}}, {"title": {"en": 3}}, {"other": "bb"}, None]
    made.add(ids=list("abcd"), embeddings=[[1], [2], [3], [4]], metadatas=metadatas)
    assert words(made) == [SparseVector([2], [2.0]), None, None, None]


def test_a_function_is_made_once_and_asked_only_about_text(client, worded, monkeypatch):
    built, asked = [], []

    class Counting(WordLengths):
        def __call__(self, input):
            asked.append(input)
            return super().__call__(input)

    monkeypatch.setattr(
        WordLengths, "build_from_config", staticmethod(lambda config: built.append(config) or Counting())
    )
    worded("#document")
    again = client.get_collection("worded", embedding_function=None)
    again.add(ids="a", embeddings=[1])
    again.add(ids=["b", "c"], embeddings=[[2], [3]], documents=["bb", None])
    again.upsert(ids="a", embeddings=[1], documents="a")
    assert again.query(query_texts=[], mode="sparse")["ids"] == []
    assert (built, asked) == ([{"weight": 2}], [["bb"], ["a"]])


def test_a_vector_that_is_given_is_kept(worded):
    made, own = worded("#document"), SparseVector([9], [1.0])
    made.add(ids="a", embeddings=[1], documents="a", metadatas={"words": own})
    made.upsert(ids="b", embeddings=[1], documents="a")
    assert words(made) == [own, SparseVector([1], [2.0])]


def test_a_new_document_has_a_new_vector_and_keeps_other_metadata(worded):
    made = worded("#document")
    made.add(ids="a", embeddings=[1], documents="a", metadatas={"k": 1})
    made.update(ids="a", embeddings=[1], documents="bb", merge_metadata=False)
    assert made.get()["metadatas"] == [{"k": 1, "words": SparseVector([2], [2.0])}]


def test_the_function_is_found_again_by_name(client, worded):
    worded("#document")
    again = client.get_collection("worded", embedding_function=None)
    again.add(ids="a", embeddings=[1], documents="a")
    assert words(again) == [SparseVector([1], [2.0])]


def test_a_function_that_is_not_registered_is_named(client, worded, monkeypatch):
    worded("#document")
    monkeypatch.delitem(sparse_known_embedding_functions, WordLengths.name())
    again = client.get_collection("worded", embedding_function=None)
    with pytest.raises(EmbeddingFunctionError, match="tests-word-lengths not found"):
        again.add(ids="a", embeddings=[1], documents="a")
    assert again.schema.keys["words"].sparse_vector.sparse_vector_index.config.embedding_function is None


def test_a_sparse_function_is_given_its_texts_by_the_name_they_have_in_chroma(worded):
    class ByName(WordLengths):
        def __call__(self, *, input):
            return WordLengths.__call__(self, input)

    made = worded("#document", ByName())
    made.add(ids="a", embeddings=[1], documents="a few words")
    assert [["a"]] == made.query(query_texts="words", mode="sparse", sparse_key="words")["ids"]


class Foreign(WordLengths):
    """A function whose configuration lets a model's repository run its own code."""

    def get_config(self):
        return {"weight": self.weight, "kwargs": {"trust_remote_code": True}}


def test_a_stored_sparse_configuration_never_runs_code_of_a_model(client, worded):
    worded("#document", Foreign())
    again = client.get_collection("worded", embedding_function=None)
    with pytest.raises(EmbeddingFunctionError, match="trust_remote_code"):
        again.add(ids="a", embeddings=[1], documents="a")
    with pytest.raises(EmbeddingFunctionError, match="trust_remote_code"):
        again.query(query_texts="a", mode="sparse", sparse_key="words")
    assert again.schema.keys["words"].sparse_vector.sparse_vector_index.config.embedding_function is None


def test_a_sparse_function_that_is_given_with_the_schema_is_used_as_it_is(client, worded):
    made = worded("#document", Foreign(2))
    made.add(ids="a", embeddings=[1], documents="a")
    made.fork("forked").upsert(ids="a", embeddings=[1], documents="bb")
    config = SparseVectorIndexConfig(embedding_function=Foreign(2), source_key="#document")
    schema = Schema().create_index(config, key="words")
    again = client.get_or_create_collection("worded", schema, embedding_function=None)
    again.add(ids="b", embeddings=[1], documents="bb")
    assert words(again) == [SparseVector([1], [2.0]), SparseVector([2], [2.0])]


def test_another_sparse_function_than_the_collections_is_not_used(client, worded):
    worded("#document", WordLengths(2))
    config = SparseVectorIndexConfig(embedding_function=WordLengths(3), source_key="#document")
    schema = Schema().create_index(config, key="words")
    again = client.get_or_create_collection("worded", schema, embedding_function=None)
    again.add(ids="a", embeddings=[1], documents="a")
    assert words(again) == [SparseVector([1], [2.0])]


@pytest.mark.parametrize("config", [{"a": object()}, {"a": float("nan")}, [1]])
def test_a_sparse_configuration_that_is_no_json_is_refused(client, worded, monkeypatch, config):
    monkeypatch.setattr(WordLengths, "get_config", lambda self: config)
    with pytest.raises(EmbeddingFunctionError, match="tests-word-lengths must be a JSON object"):
        worded("#document")
    assert 0 == client.count_collections()


@pytest.mark.parametrize("build", [SparseEmbeddingFunction.build_from_config, lambda config: None])
def test_a_sparse_function_that_cannot_be_built_says_so(client, worded, monkeypatch, build):
    monkeypatch.setattr(WordLengths, "build_from_config", staticmethod(build))
    worded("#document").add(ids="a", embeddings=[1], documents="a")
    with pytest.raises(EmbeddingFunctionError, match="has no build_from_config"):
        client.get_collection("worded", embedding_function=None).add(ids="b", embeddings=[1], documents="a")


@pytest.mark.parametrize("answer", [[], [[1.0]], [{"indices": [1], "values": [1.0]}]])
def test_a_function_must_return_one_sparse_vector_per_text(worded, answer):
    class Short(WordLengths):
        def __call__(self, input):
            return answer

    made = worded("#document", Short())
    with pytest.raises(EmbeddingFunctionError, match="Short must return one SparseVector per text"):
        made.add(ids="a", embeddings=[1], documents="a")
    assert made.count() == 0


def test_a_function_may_give_its_vectors_one_by_one(worded):
    class Lazy(WordLengths):
        def __call__(self, input):
            return iter(super().__call__(input))

    made = worded("#document", Lazy())
    made.add(ids="a", embeddings=[1], documents="a")
    assert words(made) == [SparseVector([1], [1.0])]


def test_a_sparse_function_needs_a_name():
    config = SparseVectorIndexConfig(embedding_function=lambda texts: [])
    with pytest.raises(InvalidArgumentError, match="name"):
        Schema().create_index(config, key="words").serialize_to_json()
