"""A record whose time has come is not there any more, whoever asks; without an `expiry`, nothing expires."""

import sqlite3
import time
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import WriteInfo
from vicinal.errors import ArgumentTypeError, DuplicateIDError, InvalidArgumentError

PAST, FUTURE = 1_000_000_000, 40_000_000_000
MOMENTS: dict[str, Any] = {
    "seconds-past": PAST,
    "seconds-future": FUTURE,
    "float-past": PAST + 0.5,
    "big-future": 2**70,
    "datetime-past": datetime(2001, 1, 1),
    "datetime-future": datetime(3001, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    "date-past": date(2001, 1, 1),
    "date-future": date(3001, 1, 1),
    "never": None,
    "zero": 0,
    "negative": -5,
}
THERE = [id for id in MOMENTS if "future" in id] + ["never", "no key", "no metadata"]


def made(client: vicinal.Client, name: str = "mortal", **expiry: Any) -> vicinal.Collection:
    """An empty collection whose records expire."""
    return client.create_collection(name, embedding_function=None, configuration={"expiry": expiry or True})


@pytest.fixture
def mortal(client) -> vicinal.Collection:
    """Records of every moment in `MOMENTS`, one without the key, one without metadata."""
    collection = made(client)
    ids = [*MOMENTS, "no key", "no metadata"]
    metadatas = [*({"expires_at": moment} for moment in MOMENTS.values()), {"other": 1}, None]
    vectors = [[float(i), 1.0] for i in range(len(ids))]
    collection.add(ids=ids, embeddings=vectors, metadatas=metadatas, documents=ids)
    return collection


# --- reading ---------------------------------------------------------------------------------


def test_no_read_sees_what_has_expired(client, mortal):
    again = client.get_collection("mortal")
    for collection in (mortal, again):
        assert sorted(collection.get()["ids"]) == sorted(THERE)
        assert sorted(collection.query([0, 0], n_results=99)["ids"][0]) == sorted(THERE)
        assert collection.count() == len(THERE)
    assert mortal.get(ids=["seconds-past", "never"])["ids"] == ["never"]
    assert len(mortal.peek(99)["ids"]) == len(THERE)


def test_filters_choose_among_what_is_still_there(mortal):
    assert mortal.count(where={"expires_at": {"$exists": False}}) == 2
    assert mortal.count(where={"expires_at": PAST}) == 0
    assert mortal.get(where_document={"$contains": "past"})["ids"] == []
    assert mortal.query([0, 0], ids=["zero", "never"], where={"other": {"$ne": 1}})["ids"] == [["never"]]


def test_facets_stats_and_sorting_leave_out_what_has_expired(mortal):
    assert [facet.records for facet in mortal.facets("expires_at")] == [1] * 4
    assert mortal.stats("#id").records == len(THERE)
    assert mortal.get(order_by="expires_at", limit=2)["ids"] == ["never", "seconds-future"]


def test_queries_are_full_while_there_is_enough(client):
    collection = made(client)
    moments = [PAST if i % 2 else FUTURE for i in range(100)]
    collection.add(
        ids=[str(i) for i in range(100)],
        embeddings=[[float(i), 0.0] for i in range(100)],
        metadatas=[{"expires_at": moment} for moment in moments],
    )
    assert collection.query([0, 0], n_results=50)["ids"] == [[str(i) for i in range(0, 100, 2)]]


def test_the_time_can_be_moved(mortal):
    mortal.update(ids=["never", "no key"], metadatas=[{"expires_at": PAST}, {"expires_at": FUTURE}])
    found = mortal.get(ids=["never", "no key"])["ids"]
    mortal.update(ids="no key", metadatas={"expires_at": None})
    assert (found, mortal.get(ids="no key")["ids"]) == (["no key"], ["no key"])


def test_a_record_expires_as_time_goes_by(client):
    collection = made(client)
    soon = time.time() + 0.05
    collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"expires_at": soon}])
    assert collection.count() == 1 or time.time() >= soon
    deadline = time.monotonic() + 60
    while collection.count():
        assert time.monotonic() < deadline
    assert time.time() >= soon


# --- writing ---------------------------------------------------------------------------------


def test_the_id_of_an_expired_record_is_free(mortal):
    before = mortal.count()
    info = mortal.add(ids=["zero", "never"], embeddings=[[7, 7], [8, 8]], on_conflict="keep")
    assert info == WriteInfo(added=1, updated=0, kept=1)
    got = mortal.get(ids="zero", include=["metadatas", "documents", "embeddings"])
    assert (got["metadatas"], got["documents"], got["embeddings"].tolist()) == ([None], [None], [[7, 7]])
    assert mortal.count() == before + 1


def test_an_expired_record_is_no_conflict(mortal):
    mortal.add(ids="zero", embeddings=[7, 7], on_conflict="error")
    with pytest.raises(DuplicateIDError):
        mortal.add(ids="zero", embeddings=[7, 7], on_conflict="error")


def test_upsert_inherits_nothing_from_an_expired_record(mortal):
    assert mortal.upsert(ids="zero", embeddings=[7, 7], metadatas={"new": 1}) == WriteInfo(1, 0, 0)
    assert mortal.get(ids="zero", include=["metadatas"])["metadatas"] == [{"new": 1}]


def test_update_ignores_an_expired_record(mortal):
    assert mortal.update(ids=["zero"], metadatas=[{"expires_at": FUTURE}]) == WriteInfo(0, 0, 0)
    assert mortal.update(where={"#id": "zero"}, metadatas={"x": 1}) == WriteInfo(0, 0, 0)


def test_delete_counts_only_what_was_there(mortal):
    assert mortal.delete(ids=["zero", "never"]) == {"deleted": 1}


def test_an_expired_record_that_comes_back_is_last(mortal):
    mortal.add(ids="seconds-past", embeddings=[7, 7])
    assert mortal.get()["ids"][-1] == "seconds-past"


# --- time to live ----------------------------------------------------------------------------


def test_a_time_to_live_is_written_as_the_moment(client):
    collection = made(client, ttl_s=1000)
    before = time.time()
    collection.add(ids="a", embeddings=[1, 2])
    collection.upsert(ids="b", embeddings=[1, 2], metadatas={"k": 1})
    a, b = (metadata["expires_at"] for metadata in collection.get()["metadatas"])
    assert before + 1000 <= a <= b <= time.time() + 1000


def test_upsert_prolongs_and_update_does_not(client):
    collection = made(client, ttl_s=1000)
    collection.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"expires_at": FUTURE}] * 2)
    collection.update(ids="a", metadatas={"k": 1})
    collection.upsert(ids="b", embeddings=[5, 6])
    a, b = (metadata["expires_at"] for metadata in collection.get()["metadatas"])
    assert (a, b < FUTURE) == (FUTURE, True)


def test_a_record_may_bring_its_own_moment_or_none(client):
    collection = made(client, ttl_s=1000)
    metadatas = [{"expires_at": FUTURE}, {"expires_at": None}]
    collection.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=metadatas)
    assert collection.get()["metadatas"] == metadatas


def test_what_the_caller_passed_is_not_changed(client):
    given = [{"k": 1}]
    made(client, ttl_s=1000).add(ids="a", embeddings=[1, 2], metadatas=given)
    assert given == [{"k": 1}]


def test_metadata_stays_when_none_is_given_to_replace_it(client):
    collection = made(client, ttl_s=1000)
    collection.add(ids="a", embeddings=[1, 2], metadatas={"k": 1})
    collection.upsert(ids="a", embeddings=[3, 4], merge_metadata=False)
    assert collection.get()["metadatas"][0].keys() == {"k", "expires_at"}


# --- under a path ----------------------------------------------------------------------------


@pytest.fixture
def nested(client) -> vicinal.Collection:
    return made(client, key="a.until", ttl_s=1000)


@pytest.mark.parametrize("write", ["add", "upsert"])
def test_a_moment_under_a_path_is_brought_too(nested, write):
    metadatas: list[Any] = [{"a": {"until": moment}} for moment in (PAST, FUTURE, None)]
    getattr(nested, write)(ids=["past", "future", "never"], embeddings=[[1, 2]] * 3, metadatas=metadatas)
    assert nested.get()["ids"] == ["future", "never"]
    assert nested.get()["metadatas"] == metadatas[1:]


@pytest.mark.parametrize("metadata", [None, {"a": 1}, {"a": {"k": 1}}, {"a": None, "b": {"until": PAST}}])
def test_what_has_no_moment_under_the_path_gets_one(nested, metadata):
    nested.add(ids="a", embeddings=[1, 2], metadatas=[metadata])
    [written] = nested.get()["metadatas"]
    assert written.pop("a.until") > time.time()
    assert (written or None) == metadata


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("change", ["update", "upsert", "update where"])
def test_a_moment_under_a_path_takes_the_place_of_the_stamp(nested, change, merge):
    nested.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"k": 1}] * 2)
    for id, moment in (("a", None), ("b", PAST)):
        how: dict[str, Any] = {"metadatas": {"a": {"until": moment}}, "merge_metadata": merge}
        if change == "upsert":
            nested.upsert(ids=id, embeddings=[1, 2], **how)
        else:
            nested.update(**({"ids": id} if change == "update" else {"where": {"#id": id}}), **how)
    assert nested.get()["ids"] == ["a"]
    assert nested.get()["metadatas"] == [({"k": 1} if merge else {}) | {"a": {"until": None}}]


def test_an_update_without_a_moment_leaves_the_stamp(nested):
    nested.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]])
    before = nested.get()["metadatas"]
    nested.update(ids=["a", "b"], metadatas=[{"a": {"k": 1}}, None])
    after = nested.get()["metadatas"]
    assert after == [{**before[0], "a": {"k": 1}}, before[1]]


# --- removal ---------------------------------------------------------------------------------


def test_expire_removes_for_good_and_counts(mortal):
    assert [mortal.expire(), mortal.expire()] == [{"deleted": len(MOMENTS) - 5}, {"deleted": 0}]
    assert mortal._backend.status(vicinal._request.Status(mortal.id)).records == len(THERE)
    assert sorted(mortal.get()["ids"]) == sorted(THERE)


def test_compaction_removes_too(mortal):
    mortal.compact()
    status = mortal._backend.status(vicinal._request.Status(mortal.id))
    assert (status.records, status.rows) == (len(THERE), len(THERE))


# --- configuration ---------------------------------------------------------------------------


def test_without_expiry_the_key_is_a_key_like_any_other(collection):
    collection.add(ids="a", embeddings=[1, 2], metadatas={"expires_at": PAST})
    collection.update(ids="a", metadatas={"expires_at": "tomorrow"})
    assert (collection.count(), collection.expire()) == (1, {"deleted": 0})


def test_the_key_can_be_another_one(store):
    collection = made(store.client, key="until", ttl_s=1000)
    collection.add(
        ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"until": PAST}, {"expires_at": PAST}]
    )
    assert store.reopen(collection).get()["ids"] == ["b"]


def test_the_configuration_says_so(store):
    collection = store.reopen(made(store.client, ttl_s=60))
    assert collection.configuration_json["expiry"] == {"key": "expires_at", "ttl_s": 60.0}
    assert "expiry" not in store.client.create_collection("other").configuration_json


@pytest.mark.parametrize("expiry", [None, False])
def test_no_expiry_can_be_said_too(client, expiry):
    collection = client.create_collection("x-y", configuration={"expiry": expiry}, embedding_function=None)
    collection.add(ids="a", embeddings=[1, 2], metadatas={"expires_at": PAST})
    assert collection.count() == 1


@pytest.mark.parametrize(
    ("expiry", "text"),
    [
        ({"ttl_s": 0}, "ttl_s"),
        ({"ttl_s": -1}, "ttl_s"),
        ({"ttl_s": float("inf")}, "ttl_s"),
        ({"ttl_s": "3"}, "ttl_s"),
        ({"ttl_s": True}, "ttl_s"),
        ({"key": ""}, "key"),
        ({"key": "#id"}, "key"),
        ({"key": "chroma:document"}, "metadata may not have this key"),
        ({"key": 3}, "key"),
        ({"ttl": 3}, "there are only `key`, `ttl_s`"),
        (3600, "expiry"),
        ([], "expiry"),
    ],
)
def test_a_bad_configuration_is_refused(client, expiry, text):
    with pytest.raises(InvalidArgumentError, match=text):
        client.create_collection("mortal", configuration={"expiry": expiry}, embedding_function=None)
    assert client.count_collections() == 0


def test_a_key_that_an_earlier_build_took_is_still_read(tmp_path):
    with vicinal.PersistentClient(tmp_path) as client:
        made(client, key="expires").add(ids="a", embeddings=[1, 2])
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite3")) as catalog, catalog:
        catalog.execute(
            "UPDATE collections"
            " SET configuration = replace(configuration, '\"expires\"', '\"chroma:document\"')"
        )
    with vicinal.PersistentClient(tmp_path) as client:
        mortal = client.get_collection("mortal")
        assert mortal.configuration_json["expiry"]["key"] == "chroma:document"
        assert mortal.get()["ids"] == ["a"]


@pytest.mark.parametrize("ttl_s", [1, 1.5, np.int64(3), np.float32(2)])
def test_a_time_to_live_is_any_number_of_seconds(client, ttl_s):
    made(client, ttl_s=ttl_s).add(ids="a", embeddings=[1, 2])


@pytest.mark.parametrize("moment", ["tomorrow", True, [PAST], {"at": PAST}])
def test_what_is_no_moment_is_refused_and_nothing_is_written(mortal, moment):
    before = mortal.get()
    for write in (mortal.add, mortal.upsert, mortal.update):
        with pytest.raises(ArgumentTypeError, match="expires_at"):
            write(ids=["x"], embeddings=[[1, 2]], metadatas=[{"expires_at": moment}])
    with pytest.raises(ArgumentTypeError, match="expires_at"):
        mortal.update(where={"other": 1}, metadatas={"expires_at": moment})
    with pytest.raises(InvalidArgumentError, match="NaN"):
        mortal.add(ids="x", embeddings=[1, 2], metadatas={"expires_at": float("nan")})
    assert mortal.get() == before


@pytest.mark.parametrize("moment", ["tomorrow", True, [PAST], {"at": PAST}, float("nan")])
@pytest.mark.parametrize(
    "wrapped", [lambda moment: {"a": {"until": moment}}, lambda moment: {"a.until": moment}]
)
def test_what_is_no_moment_is_refused_under_a_path_too(client, wrapped, moment):
    nested = made(client, key="a.until")
    nested.add(ids="y", embeddings=[1, 2], metadatas=wrapped(FUTURE))
    before = nested.get()
    for write in (nested.add, nested.upsert, nested.update):
        with pytest.raises(InvalidArgumentError, match=r'metadatas\[0\]\["a.until"\]'):
            write(ids=["x"], embeddings=[[1, 2]], metadatas=[wrapped(moment)])
    with pytest.raises(InvalidArgumentError, match=r"a\.until"):
        nested.update(where={"#id": "y"}, metadatas=wrapped(moment))
    assert nested.get() == before


def test_a_fork_expires_alike(mortal):
    assert sorted(mortal.fork("fork").get()["ids"]) == sorted(THERE)
