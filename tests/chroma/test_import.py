"""`vicinal import` brings in what any Chroma since 0.4 has written, record by record, without chromadb."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

import vicinal
from vicinal._chroma.log import Log
from vicinal._chroma.move import Moved, import_directory
from vicinal.cli import main
from vicinal.errors import CorruptionError, NotFoundError, StorageError, UniqueConstraintError
from vicinal.testing import HashEmbeddingFunction

MUSEUM = Path(__file__).parent / "museum"
VERSIONS = ("0.4.24", "0.6.3", "1.0.4", "1.5.9")
COLUMNS = ("documents", "metadatas", "uris")


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """`unpacked(version)` is a directory that Chroma wrote, and what that Chroma said is in it."""

    def unpack(version: str) -> tuple[Path, dict[str, Any]]:
        place = tmp_path / version
        with zipfile.ZipFile(MUSEUM / f"chroma-{version}.zip") as packed:
            packed.extractall(place)
        answers = json.loads((place / "answers.json").read_text(encoding="utf-8"))
        (place / "answers.json").unlink()
        return place, answers

    return unpack


@pytest.fixture
def old(unpacked: Callable[[str], tuple[Path, dict[str, Any]]]) -> Path:
    """A directory that Chroma 1.5.9 wrote."""
    return unpacked("1.5.9")[0]


@pytest.fixture
def into(tmp_path: Path) -> Iterator[Path]:
    """Where to import to; checked at the end."""
    yield tmp_path / "vicinal"
    if (tmp_path / "vicinal" / "catalog.sqlite3").exists():
        with vicinal.PersistentClient(tmp_path / "vicinal") as client:
            assert client.check() == []


def change(directory: Path, statement: str) -> None:
    """Change Chroma's database; something must change."""
    with closing(sqlite3.connect(directory / "chroma.sqlite3")) as chroma, chroma:
        assert chroma.execute(statement).rowcount > 0


def state(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def records(collection: Any) -> dict[str, Any]:
    """Id → (vector, document, metadata, URI)."""
    got = collection.get(include=["embeddings", *COLUMNS])
    got["metadatas"] = [metadata or None for metadata in got["metadatas"]]  # Chroma: {} beside a URI
    return dict(zip(got["ids"], zip(got["embeddings"], *(got[column] for column in COLUMNS))))


def assert_same(expected: dict[str, Any], actual: dict[str, Any]) -> None:
    assert expected.keys() == actual.keys()
    for id, (vector, *rest) in expected.items():
        assert rest == list(actual[id][1:]), id
        np.testing.assert_allclose(vector, actual[id][0], rtol=1e-6, atol=1e-6)


class Said:
    """One collection's answers, in place of the collection."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def get(self, include: list[str]) -> dict[str, Any]:
        return {column: list(self.answers[column]) for column in ("ids", *include)}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_record_is_what_that_chroma_said(unpacked: Any, into: Path, version: str) -> None:
    directory, answers = unpacked(version)
    import_directory(f"chroma://{directory}", into)
    for place, said in answers.items():
        tenant, database = place.split("/")
        with vicinal.PersistentClient(into, tenant=tenant, database=database) as client:
            assert sorted(said) == [collection.name for collection in client.list_collections()]
            for name, expected in said.items():
                collection = client.get_collection(name)
                assert_same(records(Said(expected)), records(collection))
                assert (expected["metadata"] or None) == collection.metadata


@pytest.mark.parametrize("version", ["1.0.4", "1.5.9"])
def test_records_keep_their_order(unpacked: Any, into: Path, version: str) -> None:
    directory, answers = unpacked(version)
    import_directory(directory, into)
    with vicinal.PersistentClient(into) as client:
        for name, said in answers["default_tenant/default_database"].items():
            assert said["ids"] == client.get_collection(name).get()["ids"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_configuration_is_kept(unpacked: Any, into: Path, version: str) -> None:
    directory, answers = unpacked(version)
    import_directory(directory, into)
    with vicinal.PersistentClient(into) as client:
        hnsw = client.get_collection("books").configuration_json["hnsw"]
        assert (hnsw["space"], hnsw["ef_search"], hnsw["sync_threshold"]) == ("cosine", 50, 10)
        assert client.get_collection("dots").configuration_json["hnsw"]["space"] == "ip"
        for name, said in answers["default_tenant/default_database"].items():
            if said["configuration"] is not None:
                ours = client.get_collection(name).configuration_json["hnsw"]
                theirs = said["configuration"]["hnsw"]
                usual = {"ef_construction": (100, 200), "max_neighbors": (16, 24), "ef_search": (100, None)}
                for key, (chromas, our_own) in usual.items():
                    theirs[key] = our_own if theirs[key] == chromas else theirs[key]
                assert ours == {key: theirs[key] for key in ours}


@pytest.mark.parametrize(
    ("version", "names", "emptied"),
    [
        ("0.4.24", ["books", "dots"], ["max_seq_id"]),
        ("1.5.9", ["books", "dots"], ["max_seq_id"]),
        ("0.4.24", ["books", "dots"], ["max_seq_id", "embeddings", "embedding_metadata"]),
        ("1.5.9", ["dots"], ["max_seq_id", "embeddings", "embedding_metadata"]),
    ],
)
def test_what_the_tables_lack_is_taken_from_the_log(
    unpacked: Any, into: Path, version: str, names: list[str], emptied: list[str]
) -> None:
    """Where records are emptied, too, the log has every change to these collections, the first included."""
    directory, answers = unpacked(version)
    for table in emptied:
        change(directory, f"DELETE FROM {table}")
    assert [one.lost for one in import_directory(directory, into, collections=names)] == [()] * len(names)
    with vicinal.PersistentClient(into) as client:
        for name in names:
            said, collection = answers["default_tenant/default_database"][name], client.get_collection(name)
            assert_same(records(Said(said)), records(collection))
            if version == "1.5.9":  # the other one sorted them
                assert said["ids"] == collection.get()["ids"]


def test_settings_that_only_chroma_accepts_become_the_defaults(old: Path, into: Path) -> None:
    change(
        old, """UPDATE collections SET schema_str = replace(schema_str, '"ef_search":50', '"ef_search":0')"""
    )
    import_directory(old, into, collections=["books"])
    with vicinal.PersistentClient(into) as client:
        hnsw = client.get_collection("books").configuration_json["hnsw"]
    assert (hnsw["ef_search"], hnsw["sync_threshold"]) == (None, 10)


@pytest.mark.parametrize("version", ["0.4.24", "0.6.3"])
def test_what_modify_dropped_from_the_metadata_is_read_from_the_segment(
    unpacked: Any, into: Path, version: str
) -> None:
    directory, answers = unpacked(version)
    change(directory, "DELETE FROM collection_metadata WHERE key LIKE 'hnsw:%'")
    import_directory(directory, into)
    with vicinal.PersistentClient(into) as client:
        books = client.get_collection("books")
        hnsw = books.configuration_json["hnsw"]
        assert books.metadata == {"shelf": 3}
        assert (hnsw["space"], hnsw["ef_search"], hnsw["sync_threshold"]) == ("cosine", 50, 10)
        assert_same(records(Said(answers["default_tenant/default_database"]["books"])), records(books))
        assert client.get_collection("dots").configuration_json["hnsw"]["space"] == "ip"


@pytest.mark.parametrize("version", ["0.4.24", "0.6.3"])
def test_the_segment_counts_before_the_metadata_which_counts_where_it_says_nothing(
    unpacked: Any, into: Path, version: str
) -> None:
    directory, _ = unpacked(version)
    change(directory, "UPDATE collection_metadata SET str_value = 'l2' WHERE str_value = 'cosine'")
    change(directory, "DELETE FROM segment_metadata WHERE str_value = 'ip'")
    import_directory(directory, into)
    with vicinal.PersistentClient(into) as client:
        spaces = {each.name: each.configuration_json["hnsw"]["space"] for each in client.list_collections()}
    assert spaces == {"books": "cosine", "dots": "ip", "empty": "l2"}


def test_chromas_default_function_is_the_minilm(old: Path, into: Path) -> None:
    import_directory(old, into)
    with vicinal.PersistentClient(into) as client:
        function = client.get_collection("default").configuration_json["embedding_function"]
    assert function == {"type": "known", "name": "onnx_mini_lm_l6_v2", "config": {}}


def test_a_schema_that_turns_an_index_off_is_kept(old: Path, into: Path) -> None:
    import_directory(old, into)
    with vicinal.PersistentClient(into) as client:
        with pytest.raises(vicinal.errors.InvalidArgumentError, match=r"'body'.* disabled"):
            client.get_collection("schema").get(where={"body": "x"})
        assert client.get_collection("books").get(where={"body": "x"})["ids"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bool_is_no_number(unpacked: Any, into: Path, version: str) -> None:
    import_directory(unpacked(version)[0], into, collections=["books"])
    with vicinal.PersistentClient(into) as client:
        assert client.get_collection("books").get(where={"read": True}, limit=1)["ids"] == ["b0"]


def test_a_schema_whose_defaults_turn_an_index_off_is_kept(old: Path, into: Path) -> None:
    with closing(sqlite3.connect(old / "chroma.sqlite3")) as chroma:
        (schema,) = chroma.execute("SELECT schema_str FROM collections WHERE name = 'books'").fetchone()
    written = json.loads(schema)
    written["defaults"]["string"]["string_inverted_index"]["enabled"] = False
    change(old, f"UPDATE collections SET schema_str = '{json.dumps(written)}' WHERE name = 'books'")
    import_directory(old, into, collections=["books"])
    with vicinal.PersistentClient(into) as client:
        books = client.get_collection("books")
        with pytest.raises(vicinal.errors.InvalidArgumentError, match=r"'body'.* disabled"):
            books.get(where={"body": "x"})


def test_the_log_is_not_looked_through_for_each_collection() -> None:
    """It has no index, and holds all that thousands of small collections are."""
    collections = [UUID(int=number) for number in range(1_000)]
    with closing(sqlite3.connect(":memory:")) as tx:
        columns = "seq_id INTEGER PRIMARY KEY, operation, topic, id, vector, encoding, metadata"
        tx.execute(f"CREATE TABLE embeddings_queue ({columns})")
        tx.executemany(
            "INSERT INTO embeddings_queue (operation, topic, id, metadata) VALUES (0, ?, ?, '{}')",
            [(f"persistent://default/default/{id}", f"r{n}") for n in range(20) for id in collections],
        )
        log, steps = Log(tx), list[None]()
        tx.set_progress_handler(lambda: steps.append(None), 1)
        assert [entry.id for entry in log.entries(collections[7], 10_000)] == [f"r{n}" for n in range(10, 20)]
        assert len(steps) < 2_000  # of SQLite's instructions, for ten rows of 20,000


def test_an_import_makes_no_function(old: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may need a package, a key or a model that is not here."""

    made: list[Any] = []
    monkeypatch.setattr(HashEmbeddingFunction, "build_from_config", staticmethod(made.append))
    name = HashEmbeddingFunction.name()
    change(old, f"UPDATE collections SET schema_str = replace(schema_str, '\"default\"', '\"{name}\"')")
    import_directory(old, into, collections=["schema"])
    with vicinal.PersistentClient(into) as client:
        stored = client.get_collection("schema").configuration_json["embedding_function"]
    assert (stored, made) == ({"type": "known", "name": name, "config": {}}, [])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_source_stays_as_it_is(unpacked: Any, into: Path, version: str) -> None:
    directory, _ = unpacked(version)
    before = state(directory)
    import_directory(directory, into)
    assert before == state(directory)


def test_a_database_whose_tenant_was_never_made_comes_along(old: Path, into: Path) -> None:
    """Chroma makes databases of tenants that do not exist."""
    change(old, "INSERT INTO databases (id, name, tenant_id) VALUES ('1', 'library', 'nobody')")
    import_directory(old, into)
    with vicinal.PersistentClient(into) as client:
        assert client.get_database("library", tenant="nobody")["name"] == "library"
        assert client.get_collection("books").count() > 0


def test_some_collections_can_be_named(old: Path, into: Path) -> None:
    import_directory(old, into, collections=["dots"])
    with vicinal.PersistentClient(into) as client:
        assert [collection.name for collection in client.list_collections()] == ["dots"]
        assert [tenant["name"] for tenant in client.list_tenants()] == ["default_tenant"]


def test_a_collection_that_is_not_there_is_an_error_and_nothing_is_made(old: Path, into: Path) -> None:
    with pytest.raises(NotFoundError, match="The source has books, default"):
        import_directory(old, into, collections=["dots", "nowhere"])
    assert not into.exists()


def test_a_name_that_is_taken_is_refused_and_nothing_is_written(old: Path, into: Path) -> None:
    with vicinal.PersistentClient(into) as client:
        client.create_collection("dots", embedding_function=None).add(["mine"], [[1]])
    with pytest.raises(UniqueConstraintError, match="dots"):
        import_directory(old, into)
    with vicinal.PersistentClient(into) as client:
        assert [(each.name, each.count()) for each in client.list_collections()] == [("dots", 1)]


def test_what_is_there_already_can_be_skipped(old: Path, into: Path) -> None:
    import_directory(old, into, collections=["dots"])
    moved = import_directory(old, into, skip_existing=True)
    assert {one.name for one in moved if one.skipped} == {"dots"}
    with vicinal.PersistentClient(into) as client:
        assert client.get_collection("dots").count() == 2
        assert client.get_collection("books").count() == 25


KILLED = """
import os, sys
from vicinal._chroma import move

move.BATCH_ROWS = 10
move.import_directory(*sys.argv[1:], progress=lambda name, written, of: written > 10 and os._exit(9))
"""


def test_an_import_that_was_killed_left_half_a_collection_which_is_not_there_and_the_next_starts_again(
    old: Path, into: Path
) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, old, into], check=False).returncode == 9
    with vicinal.PersistentClient(into) as client, pytest.raises(NotFoundError):
        client.get_collection("books")
    import_directory(old, into, skip_existing=True)
    with vicinal.PersistentClient(into) as client:
        counts = [(each.name, each.count()) for each in client.list_collections()]
    assert counts == [("books", 25), ("default", 0), ("dots", 2), ("empty", 0), ("schema", 0)]


@pytest.mark.parametrize("some", [{"skip_existing": True}, {"collections": ["dots"]}])
def test_what_an_import_that_was_killed_left_goes_even_when_its_collection_is_passed_over(
    old: Path, into: Path, some: dict[str, Any]
) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, old, into], check=False).returncode == 9
    with vicinal.PersistentClient(into) as client:
        assert any(each.name.startswith("importing-") for each in client.list_collections())
        client.create_collection("books", embedding_function=None)
    import_directory(old, into, **some)
    with vicinal.PersistentClient(into) as client:
        assert not [each.name for each in client.list_collections() if each.name.startswith("importing-")]
        assert client.get_collection("books").count() == 0


def interfering(directory: Path) -> Callable[[str, int, int], None]:
    """For `progress`: while "books" is read, its index is written."""

    def interfere(name: str, written: int, expected: int) -> None:
        for file in directory.glob("*/index_metadata.pickle") if name == "books" else ():
            file.write_bytes(file.read_bytes() + b" ")

    return interfere


def test_a_collection_that_is_written_to_meanwhile_is_left_out_and_the_others_are_not(
    old: Path, into: Path
) -> None:
    moved = import_directory(old, into, progress=interfering(old))
    assert {one.name: one.records for one in moved if one.disturbed} == {"books": 0}
    with vicinal.PersistentClient(into) as client:
        found = [each.name for each in client.list_collections()]
    assert found == ["default", "dots", "empty", "schema"]


def test_the_command_tells_a_collection_that_was_written_to_by_its_exit_code(
    old: Path, into: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("vicinal.cli.moving._Shown.__call__", lambda _, *told: interfering(old)(*told))
    assert main(["import", f"chroma://{old}", "--into", str(into)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "books: left out, because the source was written to meanwhile" in lines[1]
    assert "dots: 2 records" in lines


@pytest.mark.parametrize("key", ["#tags", "$price", ""])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_record_whose_keys_are_refused_now_is_left_out_and_named(
    unpacked: Any, into: Path, version: str, key: str
) -> None:
    directory, answers = unpacked(version)
    change(
        directory,
        f"UPDATE embedding_metadata SET key = '{key}' WHERE key = 'n' AND id IN "
        "(SELECT id FROM embeddings WHERE embedding_id IN ('b2', 'b11'))",
    )
    moved = {one.name: one for one in import_directory(directory, into)}
    assert moved["books"].records == 23
    assert moved["books"].refused.keys() == {"b2", "b11"}
    assert all(f"metadatas: the key {key!r}" in reason for reason in moved["books"].refused.values())
    expected = records(Said(answers["default_tenant/default_database"]["books"]))
    with vicinal.PersistentClient(into) as client:
        assert client.get_collection("dots").count() == 2
        taken = records(client.get_collection("books"))
    assert_same({id: record for id, record in expected.items() if id not in ("b2", "b11")}, taken)


def test_a_vector_of_nan_and_an_empty_id_are_left_out_and_named(unpacked: Any, into: Path) -> None:
    directory, _ = unpacked("0.4.24")
    nan = np.full(4, np.nan, dtype="<f4").tobytes().hex()
    change(directory, f"UPDATE embeddings_queue SET vector = x'{nan}' WHERE id = 'b99'")
    change(directory, "UPDATE embeddings SET embedding_id = '' WHERE embedding_id = 'y'")
    change(directory, "UPDATE embeddings_queue SET id = '' WHERE id = 'y'")
    moved = {one.name: one for one in import_directory(directory, into)}
    assert moved["books"].refused == {
        "b99": "embeddings: Embeddings must not contain NaN or Infinity values (as float32)"
    }
    assert moved["dots"].refused == {"": "ids: Empty ID, ID must have at least one character"}
    assert (moved["books"].records, moved["dots"].records, moved["notes"].records) == (24, 1, 1)


def test_the_command_tells_refused_records_by_its_exit_code(old: Path, into: Path, capsys: Any) -> None:
    change(old, "UPDATE embedding_metadata SET key = '#n' WHERE key = 'n'")
    assert main(["import", f"chroma://{old}", "--into", str(into)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "records left out, which Vicinal refuses (metadatas: the key '#n' cannot be used" in lines[2]
    assert lines[2].startswith("books: ")
    assert "): b0, b1, b2, b4, b5, …" in lines[2]
    assert "dots: 2 records" in lines


def test_records_whose_vectors_are_lost_are_left_out_and_named(old: Path, into: Path) -> None:
    for directory in old.glob("*-*-*"):
        shutil.rmtree(directory)
    (books,) = import_directory(old, into, collections=["books"])
    assert books.records + len(books.lost) == 25
    assert "b0" in books.lost
    with vicinal.PersistentClient(into) as client:
        assert set(client.get_collection("books").get()["ids"]).isdisjoint(books.lost)


def damaged(moved: list[Moved]) -> str:
    """What is said of the collections that were left out because what Chroma has of them is damaged."""
    found = {one.damaged for one in moved if one.damaged is not None}
    assert found and all(one.records == 0 for one in moved if one.damaged is not None)
    return "\n".join(sorted(found))


class Evil:
    def __reduce__(self) -> Any:
        return print, ("owned",)


def test_a_pickle_that_would_run_code_is_refused(old: Path, into: Path, capsys: Any) -> None:
    (file,) = old.glob("*/index_metadata.pickle")
    file.write_bytes(pickle.dumps({"id_to_label": Evil()}))
    assert re.search(r"it names builtins\.print", damaged(import_directory(old, into, collections=["books"])))
    assert "owned" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        *("text", {}, {"id_to_label": [1]}, {"id_to_label": {"b0": [1]}}),
        {"id_to_label": {}, "max_seq_id": "x"},
    ],
)
def test_a_pickle_of_something_else_is_corruption(old: Path, into: Path, content: Any) -> None:
    (file,) = old.glob("*/index_metadata.pickle")
    file.write_bytes(pickle.dumps(content))
    assert re.search("is no index of Chroma's", damaged(import_directory(old, into, collections=["books"])))


@pytest.mark.parametrize("name", ["header.bin", "data_level0.bin", "length.bin", "index_metadata.pickle"])
def test_a_truncated_index_is_corruption(old: Path, into: Path, name: str) -> None:
    (pickled,) = old.glob("*/index_metadata.pickle")
    file = pickled.with_name(name)
    file.write_bytes(file.read_bytes()[:40])
    assert damaged(import_directory(old, into, collections=["books"]))


@pytest.mark.parametrize("name", ["header.bin", "data_level0.bin", "length.bin"])
def test_an_index_that_lacks_a_file_is_corruption(old: Path, into: Path, name: str) -> None:
    (pickled,) = old.glob("*/index_metadata.pickle")
    pickled.with_name(name).unlink()
    assert re.search(
        "Chroma's index cannot be read", damaged(import_directory(old, into, collections=["books"]))
    )


@pytest.mark.parametrize("place", range(3, 7))
def test_a_header_of_impossible_numbers_is_corruption(old: Path, into: Path, place: int) -> None:
    (pickled,) = old.glob("*/index_metadata.pickle")
    file = pickled.with_name("header.bin")
    content = bytearray(file.read_bytes())
    struct.pack_into("<Q", content, 4 + 8 * (place - 1), 2**64 - 1)
    file.write_bytes(content)
    assert re.search(
        "Chroma's index cannot be read", damaged(import_directory(old, into, collections=["books"]))
    )


@pytest.mark.parametrize("version", ["0.4.24", "1.5.9"])
@pytest.mark.parametrize(
    "damage",
    [
        *("operation = 9", "encoding = 'FLOAT16'", "vector = x'0102'", "vector = 'text'"),
        *("vector = x'0000803f'", "metadata = '{'", "metadata = '[1]'"),
    ],
)
def test_a_log_that_cannot_be_read_is_corruption(
    unpacked: Any, into: Path, version: str, damage: str
) -> None:
    """A vector of one dimension would else fill all of them with its number."""
    directory, _ = unpacked(version)
    change(directory, f"UPDATE embeddings_queue SET {damage}")
    assert re.search("what the log says of collection", damaged(import_directory(directory, into)))
    with vicinal.PersistentClient(into) as client:
        assert not [each.name for each in client.list_collections() if each.name.startswith("importing-")]


def test_a_mark_that_is_no_number_is_corruption(old: Path, into: Path) -> None:
    change(old, "UPDATE max_seq_id SET seq_id = 'abc'")
    assert re.search("cannot be read", damaged(import_directory(old, into)))


def test_a_damaged_collection_is_left_out_and_named_and_the_others_come(
    old: Path, into: Path, capsys: Any
) -> None:
    """As when Chroma was killed while it wrote an index."""
    (file,) = old.glob("*/index_metadata.pickle")
    file.write_bytes(b"")
    assert main(["import", f"chroma://{old}", "--into", str(into)]) == 1
    lines = capsys.readouterr().out.splitlines()
    [line] = [line for line in lines if line.startswith("books: ")]
    assert "left out, because what Chroma has of it is damaged" in line
    assert str(file) in line
    with vicinal.PersistentClient(into) as client:
        assert [each.name for each in client.list_collections()] == ["default", "dots", "empty", "schema"]
    assert main(["import", f"chroma://{old}", "--into", str(into), "--skip-existing"]) == 1
    assert "dots: exists, skipped" in capsys.readouterr().out


def test_lengths_are_those_of_cosine_space_alone(old: Path, into: Path) -> None:
    change(old, """UPDATE collections SET schema_str = replace(schema_str, '"cosine"', '"l2"')""")
    import_directory(old, into, collections=["books"])
    with vicinal.PersistentClient(into) as client:
        [vector] = client.get_collection("books").get(ids="b0", include=["embeddings"])["embeddings"]
    assert np.linalg.norm(vector) == pytest.approx(1)  # as it stands in the file


@pytest.mark.parametrize(
    "stored",
    [
        *("{", "[1]", '{"keys": {"#embedding": {"float_list": {"vector_index": {}}}}}'),
        '{"keys": {"#embedding": {"float_list": {"vector_index": {"config": 5}}}}}',
    ],
)
def test_a_configuration_that_cannot_be_read_is_corruption(old: Path, into: Path, stored: str) -> None:
    change(old, f"UPDATE collections SET schema_str = '{stored}' WHERE name = 'dots'")
    with pytest.raises(CorruptionError, match='the configuration of collection "dots" cannot be read'):
        import_directory(old, into)
    assert not into.exists()


def test_a_directory_without_a_chroma_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no chroma\.sqlite3"):
        import_directory(tmp_path, tmp_path / "into")


def test_chromas_own_file_is_no_directory(old: Path, into: Path) -> None:
    with pytest.raises(StorageError, match=r"is a file; give the directory that holds chroma\.sqlite3"):
        import_directory(f"chroma://{old / 'chroma.sqlite3'}", into)


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"not a database at all, whatever its name" * 100)
    with pytest.raises(CorruptionError):
        import_directory(tmp_path, tmp_path / "into")


def test_the_database_of_another_program_is_an_error(tmp_path: Path) -> None:
    vicinal.PersistentClient(tmp_path / "v").close()
    (tmp_path / "v" / "catalog.sqlite3").rename(tmp_path / "chroma.sqlite3")
    with pytest.raises(StorageError, match=r"lacks tables"):
        import_directory(tmp_path, tmp_path / "into")


def test_the_command_says_what_it_did(old: Path, into: Path, capsys: Any) -> None:
    assert main(["import", f"chroma://{old}", "--into", str(into), "--collection", "notes"]) == 0
    assert capsys.readouterr().out == "acme/library/notes: 1 records\n"
    assert main(["import", f"chroma://{old}", "--into", str(into), "--skip-existing"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "acme/library/notes: exists, skipped",
        "books: 25 records",
    ]


def test_the_command_shows_a_terminal_how_far_it_has_come(
    old: Path, into: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vicinal._chroma.move.BATCH_ROWS", 1)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(["import", f"chroma://{old}", "--into", str(into), "--collection", "dots"]) == 0
    assert capsys.readouterr().err == "\rdots: 1 of 2 records\rdots: 2 of 2 records\n"


def test_the_command_tells_lost_records_by_its_exit_code(old: Path, into: Path, capsys: Any) -> None:
    for directory in old.glob("*-*-*"):
        shutil.rmtree(directory)
    assert main(["import", f"chroma://{old}", "--into", str(into), "--collection", "books"]) == 1
    assert "whose vectors Chroma has lost: b0, b1, b2" in capsys.readouterr().out


def test_the_command_wants_a_scheme(old: Path, into: Path, capsys: Any) -> None:
    assert main(["import", str(old), "--into", str(into)]) == 2
    assert "expected chroma://PATH" in capsys.readouterr().err
