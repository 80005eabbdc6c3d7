"""One changed byte, anywhere: `check` says what it touches, or it touched nothing that anyone can see.

A small database is copied, one byte of the copy is changed, and the copy is opened. When nothing is
reported, then everything that can be asked must be answered as before. Opening, checking and asking
raise no errors but our own.
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal._index import planner
from vicinal._storage import checksums
from vicinal.errors import CorruptionError, NotFoundError, VicinalError
from vicinal.testing import dump, wait_for_index

DIMENSION = 4


def build(path: Path) -> None:
    """Two collections with every kind of content; one has dead rows and a checkpoint of its graph."""
    with vicinal.PersistentClient(path) as client:
        things = client.create_collection("things", metadata={"about": "bytes"}, embedding_function=None)
        ids = [f"thing {i}" for i in range(12)]
        vectors = np.random.default_rng(1).standard_normal((12, DIMENSION)).astype(np.float32)
        things.add(
            ids=ids,
            embeddings=vectors,
            documents=[f"a document about {id}, ünïcode too" for id in ids],
            metadatas=[
                {"n": i, "half": i / 2, "even": i % 2 == 0, "tags": ["x", id]} for i, id in enumerate(ids)
            ],
            uris=[f"file:///{i}" for i in range(12)],
        )
        things.delete(ids=["thing 3", "thing 11"])
        things.upsert(ids=["thing 5"], embeddings=[[9, 9, 9, 9]])
        things.update(ids=["thing 6"], metadatas=[{"n": 60}], uris=["file:///sixty"])
        wait_for_index(things)
        others = client.create_collection("others", embedding_function=None)
        others.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], documents=["one", None])


def answers(client: vicinal.Client) -> Any:
    """Everything that can be asked of the database."""
    found = []
    for name in ("things", "others"):
        held = client.get_collection(name)
        records = dump(held)
        query = held.query(query_embeddings=[1] * len(records[0]["embeddings"]), n_results=20)
        filtered = [
            held.get(where={"n": {"$gt": 3}})["ids"],
            held.get(where={"even": True})["ids"],
            held.get(where_document={"$contains": "docu"})["ids"],
            held.get(ids=["thing 6", "a"])["ids"],
        ]
        found.append(
            (held.id, held.metadata, held.count(), records, query["ids"], query["distances"], filtered)
        )
    return found, [c.name for c in client.list_collections()]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undamaged database."""
    path = tmp_path_factory.mktemp("sound") / "data"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(planner, "GRAPH_BYTES_MIN", 64)
        build(path)
    return path


@pytest.fixture(scope="module")
def expected(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    copy = tmp_path_factory.mktemp("copy") / "data"
    shutil.copytree(sound, copy)
    with vicinal.PersistentClient(copy) as client:
        assert client.check() == []
        return answers(client)


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """`damaged(file, offset, mask)` is a fresh copy with one byte changed."""
    copy = tmp_path / "data"

    def make(file: Path, offset: int, mask: int) -> Path:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(sound, copy)
        with (copy / file.relative_to(sound)).open("r+b") as stream:
            stream.seek(offset)
            byte = stream.read(1)[0]
            stream.seek(offset)
            stream.write(bytes([byte ^ mask]))
        return copy

    yield make
    shutil.rmtree(copy, ignore_errors=True)


def findings(path: Path, expected: Any) -> list[str]:
    """What is reported; nothing is only right when all answers are the undamaged ones."""
    try:
        with vicinal.PersistentClient(path) as client:
            found = client.check()
            if not found:
                assert answers(client) == expected
            return found
    except VicinalError as error:
        return [str(error)]


def live(sound: Path, name: str) -> tuple[Path, Any]:
    """The vector file of a collection, and (row, id) of its records."""
    with vicinal.PersistentClient(sound) as client:
        held = client.get_collection(name)
        with client._backend._opened.using(held.id) as opened, opened.database.read() as tx:
            rows = tx.execute("SELECT row, id FROM records JOIN live USING (row)").fetchall()
    return sound / "collections" / str(held.id) / "vectors-0.f32", rows


def places(file: Path, count: int, seed: int = 0) -> list[tuple[int, int]]:
    """Bytes to change, and how: mostly where something is written."""
    data, rng = file.read_bytes()[:100_000], random.Random(f"{seed}/{file.name}")
    written = [i for i, byte in enumerate(data) if byte]
    chosen = [
        *rng.sample(written, min(count, len(written))),
        *(rng.randrange(len(data)) for _ in range(count // 5)),
    ]
    return [(offset, rng.choice([1, 2, 16, 64, 128, 255])) for offset in chosen]


def in_files(sound: Path, pattern: str) -> list[Path]:
    """The files of a name, of which there is one at least."""
    found = sorted(path for path in sound.rglob(pattern) if path.suffix != ".lock")
    assert found
    return found


# --- the tests -----------------------------------------------------------------------------------


def test_a_sound_database_has_no_findings(expected: Any) -> None:
    [things, others], names = expected
    assert (names, things[2], others[2]) == (["others", "things"], 10, 2)


@pytest.mark.parametrize("name", ["things", "others"])
def test_every_byte_of_every_live_vector_is_watched(
    sound: Path, damaged: Any, expected: Any, name: str
) -> None:
    file, rows = live(sound, name)
    stride = 16 if name == "things" else 8
    for row, id in rows:
        for offset in range(row * stride, (row + 1) * stride):
            [finding] = findings(damaged(file, offset, 1 << offset % 8), expected)
            assert finding.startswith(f"collection {name}: record {id!r}")


def test_bytes_that_belong_to_no_record_are_no_finding(sound: Path, damaged: Any, expected: Any) -> None:
    file, rows = live(sound, "things")
    dead = sorted({*range(13)} - {row for row, _ in rows})
    for offset in [dead[0] * 16, dead[1] * 16 + 7, 13 * 16, 5_000]:
        assert findings(damaged(file, offset, 255), expected) == []


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("graph.json", "checkpoint graph: damaged"), ("graph-*", "checkpoint graph: damaged")],
)
def test_every_byte_of_a_checkpoint_is_watched(
    sound: Path, damaged: Any, expected: Any, pattern: str, says: str
) -> None:
    [file] = in_files(sound, pattern)
    for offset in range(0, file.stat().st_size, 1 + file.stat().st_size // 60):
        [finding] = findings(damaged(file, offset, 1), expected)
        assert finding.startswith(f"collection things: {says}")


@pytest.mark.parametrize(
    ("pattern", "says"), [("graph.json", "cannot be read; "), ("graph-*", "cannot be read (")]
)
def test_what_of_a_checkpoint_cannot_be_read_is_not_called_damaged(
    sound: Path, tmp_path: Path, expected: Any, pattern: str, says: str
) -> None:
    copy = tmp_path / "data"
    shutil.copytree(sound, copy)
    [file] = in_files(copy, pattern)
    file.unlink()
    file.mkdir()
    [finding] = findings(copy, expected)
    assert finding.startswith(f"collection things: checkpoint graph: {says}")


@pytest.mark.parametrize("pattern", ["catalog.sqlite3", "records.sqlite3"])
def test_a_byte_of_a_table_is_reported_or_carries_nothing(
    sound: Path, damaged: Any, expected: Any, pattern: str
) -> None:
    for file in in_files(sound, pattern):
        for offset, mask in places(file, 100):
            found = findings(damaged(file, offset, mask), expected)
            place = rf"catalog: |collection (things|others): |{re.escape(sound.anchor)}"
            assert all(re.match(place, finding) for finding in found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pattern", ["catalog.sqlite3", "records.sqlite3", "vectors-0.f32", "graph*"])
def test_thousands_of_bytes_are_reported_or_carry_nothing(
    sound: Path, damaged: Any, expected: Any, pattern: str, seed: int
) -> None:
    for file in in_files(sound, pattern):
        for offset, mask in places(file, 500, seed):
            findings(damaged(file, offset, mask), expected)


@pytest.mark.parametrize("text", [b"a document about thing 7", b"file:///7", b'"n":7', b"thing 7"])
def test_a_changed_text_is_reported_under_the_id_of_its_record(
    sound: Path, damaged: Any, expected: Any, text: bytes
) -> None:
    file = live(sound, "things")[0].with_name("records.sqlite3")
    found = findings(damaged(file, file.read_bytes().index(text) + len(text) - 1, 1), expected)
    assert any("record 'thing 7'" in line or "record 'thing 6'" in line for line in found), found


def test_opening_with_a_damaged_catalog_removes_no_collection(sound: Path, damaged: Any) -> None:
    file = sound / "catalog.sqlite3"
    known = sorted(entry.name for entry in (sound / "collections").iterdir())
    written = [match.start() for match in re.finditer("|".join(known).encode(), file.read_bytes())]
    assert len(written) >= len(known)
    for place in written:
        path = damaged(file, place, 1)
        with vicinal.PersistentClient(path) as client:
            assert client.check() != []
        assert sorted(entry.name for entry in (path / "collections").iterdir()) == known


def test_a_collection_that_says_it_is_deleted_while_the_catalog_has_it_is_reported(
    sound: Path, damaged: Any
) -> None:
    directory = live(sound, "others")[0].parent
    path = damaged(sound / "catalog.sqlite3", 40, 0)  # a mask of nothing: a sound copy
    with closing(sqlite3.connect(path / "collections" / directory.name / "records.sqlite3")) as database:
        database.execute("UPDATE state SET dropped = 1")
        database.commit()
    with vicinal.PersistentClient(path) as client:
        assert [finding[:18] for finding in client.check()] == ["collection others:"]
        with pytest.raises(NotFoundError):
            client.get_collection("others").count()
    left = path / "collections" / directory.name / "records.sqlite3"
    assert left.exists(), "an older catalog that was put back destroys nothing"


@pytest.mark.parametrize("pattern", ["checkpoints", "graph.json", "graph-*", "upkeep.lock"])
def test_without_its_derived_files_a_database_answers_the_same(
    sound: Path, damaged: Any, expected: Any, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = damaged(sound / "catalog.sqlite3", 40, 0)
    for derived in path.rglob(pattern):
        shutil.rmtree(derived) if derived.is_dir() else derived.unlink()
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 64)
    with vicinal.PersistentClient(path) as client:
        assert answers(client) == expected
        wait_for_index(client.get_collection("things"))
        assert client.check() == []


def test_a_catalog_without_its_identity_is_reported_and_not_backed_up(tmp_path: Path) -> None:
    path, target = tmp_path / "data", tmp_path / "backup"
    vicinal.PersistentClient(path).close()
    with closing(sqlite3.connect(path / "catalog.sqlite3")) as database, database:
        database.execute("DELETE FROM identity")
    with vicinal.PersistentClient(path) as client:
        assert client.check() == ["catalog: its identity is missing, so it cannot be backed up"]
        with pytest.raises(CorruptionError, match="identity"):
            client.backup(target)
    assert not target.exists()


UNREADABLE = {
    "half a surrogate pair": """'{"hnsw": {}, "embedding_function": {"path": "\\udce9"}}'""",
    "nested too deep": "'{\"embedding_function\": ' || replace(hex(zeroblob(125)), '0', '{\"a\":') || '1'"
    " || replace(hex(zeroblob(125)), '0', '}') || '}'",
    "no configuration": "'[]'",
}


@pytest.fixture(params=UNREADABLE)
def unreadable(request: Any, sound: Path, tmp_path: Path) -> Path:
    """The database, in which one collection's configuration is as written, and cannot be read."""
    path = tmp_path / "unreadable"
    shutil.copytree(sound, path)
    columns = "id, name, database, metadata, configuration"
    with closing(sqlite3.connect(path / "catalog.sqlite3")) as database, database:
        database.execute(
            f"UPDATE collections SET configuration = {UNREADABLE[request.param]} WHERE name = 'others'"
        )
        [entry] = database.execute(f"SELECT {columns} FROM collections WHERE name = 'others'")
        database.execute(
            "UPDATE collections SET checksum = ? WHERE name = 'others'", (checksums.of(tuple(entry)),)
        )
    return path


def test_an_entry_that_cannot_be_read_is_reported_with_what_can_be_done(unreadable: Path) -> None:
    with vicinal.PersistentClient(unreadable) as client:
        says = r"the entry of collection 'others' cannot be read: .+; .* delete_collection\('others'\)"
        for call in (client.list_collections, lambda: client.get_collection("others")):
            with pytest.raises(CorruptionError, match=says):
                call()
        assert client.get_collection("things").count() == 10
        found = client.check()
        assert re.match(f"catalog: {says}", found[0]) is not None
        assert all("others" in line for line in found)


def test_repair_changes_nothing_of_a_collection_whose_entry_cannot_be_read(unreadable: Path) -> None:
    with vicinal.PersistentClient(unreadable) as client:
        [line] = client.repair()
        assert line.startswith("collection others: not repaired: the entry of collection 'others' cannot be")
        assert client.repair() == [line]
    assert not (unreadable / "damaged").exists()


def test_a_collection_whose_entry_cannot_be_read_can_be_deleted(unreadable: Path) -> None:
    with vicinal.PersistentClient(unreadable) as client:
        client.delete_collection("others")
        assert (client.check(), client.repair()) == ([], [])
        assert [c.name for c in client.list_collections()] == ["things"]
        assert client.create_collection("others", embedding_function=None).count() == 0
    with vicinal.PersistentClient(unreadable) as client:
        assert len(list((unreadable / "collections").iterdir())) == 2
        assert client.count_collections() == 2


def test_an_entry_without_an_id_can_be_deleted(sound: Path, damaged: Any) -> None:
    path = damaged(sound / "catalog.sqlite3", 40, 0)
    with closing(sqlite3.connect(path / "catalog.sqlite3")) as database, database:
        database.execute("UPDATE collections SET id = 'lost' WHERE name = 'others'")
    with vicinal.PersistentClient(path) as client:
        client.delete_collection("others")
        assert [c.name for c in client.list_collections()] == ["things"]


def test_check_changes_nothing(sound: Path, damaged: Any) -> None:
    path = damaged(live(sound, "things")[0], 0, 1)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with vicinal.PersistentClient(path) as client:
        assert client.check() == client.check() != []
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_checking_a_collection_that_was_never_used_makes_no_files(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        client.create_collection("never_used", embedding_function=None)
        assert client.check() == []
        assert list(tmp_path.glob("collections/*")) == []


def test_a_client_in_memory_can_be_checked() -> None:
    with vicinal.EphemeralClient() as client:
        client.create_collection("things", embedding_function=None).add(ids=["a"], embeddings=[[1, 2]])
        assert client.check() == []
