"""`python -m vicinal` looks after a database, and its exit code says how it is: well, damaged, or missing."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vicinal
from vicinal.testing import HashEmbeddingFunction, dump

Run = Callable[..., tuple[int, str, str]]
MUSEUM = Path(__file__).parents[1] / "chroma" / "museum"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed database with two collections and an empty one."""
    with vicinal.PersistentClient(tmp_path / "data") as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=[f"id {i}" for i in range(1234)], embeddings=[[i, 1] for i in range(1234)])
        hashed = client.create_collection("hashed", embedding_function=HashEmbeddingFunction())
        hashed.add(ids=["a", "b"], documents=["one", "two"])
        client.create_collection("empty", embedding_function=None)
    return tmp_path / "data"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run(*arguments)` is the exit code, the output, and what was said about errors."""

    def begin(*arguments: Any) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "vicinal", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        return done.returncode, done.stdout, done.stderr

    return begin


def damage(path: Path) -> None:
    """Change a byte of the vector of "id 1"."""
    things = max(path.rglob("vectors-0.f32"), key=lambda file: file.read_bytes().count(b"\x80\x3f"))
    with things.open("r+b") as stream:
        stream.seek(9)
        stream.write(b"\x77")


def test_the_version_is_told(run: Run) -> None:
    assert run("--version") == (0, f"vicinal {vicinal.__version__}\n", "")


def test_a_sound_database_is_well(run: Run, path: Path) -> None:
    assert run("check", path) == (0, "all is well\n", "")


def test_a_damaged_database_is_not(run: Run, path: Path) -> None:
    damage(path)
    assert run("check", path) == (
        1,
        "collection things: record 'id 1' (row 1): its texts or its vector are not what was written\n",
        "",
    )


def test_a_damaged_database_is_repaired_when_that_is_asked_for(run: Run, path: Path) -> None:
    damage(path)
    code, output, errors = run("check", "--repair", path)
    assert (code, errors) == (0, "")
    assert "collection things: 1233 records saved; the damaged files are in " in output
    assert output.endswith(
        "collection things: record 'id 1': its texts or its vector are not what was written\n"
    )
    assert run("check", path) == (0, "all is well\n", "")


def test_a_sound_database_is_left_alone_by_repair(run: Run, path: Path) -> None:
    assert run("check", "--repair", path) == (0, "all is well\n", "")
    assert not (path / "damaged").exists()


def test_a_damaged_checkpoint_is_repaired_once(run: Run, path: Path) -> None:
    place = next(path.glob("collections/*/vectors-0.f32")).parent / "checkpoints"
    place.mkdir(exist_ok=True)
    (place / "rows.json").write_text("{")
    code, output, errors = run("check", "--repair", path)
    assert (code, errors) == (0, "")
    assert output.endswith(": checkpoint rows: removed; it will be made anew\n")
    assert run("check", "--repair", path) == (0, "all is well\n", "")


def test_the_collections_are_listed(run: Run, path: Path) -> None:
    assert run("info", path) == (0, "empty: 0 records\nhashed: 2 records\nthings: 1,234 records\n", "")


def test_a_name_cannot_break_the_line_that_it_is_in(run: Run, path: Path) -> None:
    tenant = "acme\n\x1b[31mhome: 7 records\x85\u2028\x7f"
    with vicinal.PersistentClient(path) as client:
        client.create_tenant(tenant)
        client.create_database("a\tb\r", tenant)
        client.set_tenant(tenant, "a\tb\r")
        client.create_collection("mine", embedding_function=None)
    code, output, errors = run("info", path)
    assert (code, errors, len(output.splitlines())) == (0, "", 4)
    shown = r"acme\n\x1b[31mhome: 7 records\x85\u2028\x7f/a\tb\r/mine: 0 records"
    assert shown in output.splitlines()


def test_what_the_outputs_encoding_lacks_is_escaped(run: Run, path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    with vicinal.PersistentClient(path) as client:
        client.create_collection("more", embedding_function=None).add(ids=["猫"], embeddings=[[9, 9]])
        file = max(path.rglob("vectors-0.f32"), key=lambda file: file.stat().st_mtime_ns)
    file.write_bytes(b"\x77" * file.stat().st_size)
    code, output, errors = run("check", path)
    assert (code, errors) == (1, "")
    assert "record '\\u732b' (row 0)" in output


def test_a_reader_who_has_seen_enough_is_no_error(path: Path) -> None:
    command = [sys.executable, "-m", "vicinal", "info", str(path)]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_an_output_that_cannot_be_written_is_no_finding(path: Path) -> None:
    command = [sys.executable, "-m", "vicinal", "check", str(path)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "vicinal: [Errno 28] No space left on device\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_what_cannot_be_said_of_an_error_is_no_finding(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vicinal", "check", str(tmp_path)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, check=False)
        both = subprocess.run(command, stdout=full, stderr=full, check=False)
    assert (done.returncode, done.stdout, both.returncode) == (2, "", 2)


def test_an_error_that_nobody_reads_is_no_finding(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vicinal", "check", str(tmp_path)]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as output:
        done = subprocess.run(command, stdout=output, stderr=output, check=False)
    assert done.returncode == 2


@pytest.mark.skipif(os.name == "nt", reason="needs sh")
def test_without_an_output_the_exit_code_says_it_all(path: Path) -> None:
    closing = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "vicinal", "check", str(path)]
    done = subprocess.run(closing, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="needs sh")
def test_what_is_wrong_is_not_said_in_the_output_when_it_cannot_be_said(tmp_path: Path) -> None:
    closing = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-m", "vicinal", "check", str(tmp_path)]
    done = subprocess.run(closing, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(os.name == "nt", reason="needs sh")
def test_an_import_does_not_need_a_place_for_its_progress(tmp_path: Path) -> None:
    with zipfile.ZipFile(MUSEUM / "chroma-1.5.9.zip") as packed:
        packed.extractall(tmp_path / "chroma")
    command = ["import", f"chroma://{tmp_path / 'chroma'}", "--into", str(tmp_path / "data")]
    closing = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-m", "vicinal", *command]
    done = subprocess.run(closing, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "books: 25 records" in done.stdout) == (0, True)


def test_a_collection_that_cannot_be_opened_is_listed_with_the_reason(run: Run, path: Path) -> None:
    for file in path.rglob("records.sqlite3"):
        if b"id 1000" in file.read_bytes():
            file.write_bytes(b"\xff" * 8192)
    code, output, _ = run("info", path)
    assert (code, output.splitlines()[:2]) == (1, ["empty: 0 records", "hashed: 2 records"])
    assert output.splitlines()[2].startswith("things: ")


def test_a_backup_is_made_and_brought_up_to_date(run: Run, path: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("backup", path, tmp_path / "copy") == (0, "", "")
    with vicinal.PersistentClient(tmp_path / "copy") as client:
        assert client.get_collection("things").count() == 1234
    assert run("check", tmp_path / "copy") == (0, "all is well\n", "")


def test_a_backup_to_where_something_else_is_cannot_be_done(run: Run, path: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    code, output, errors = run("backup", path, tmp_path / "other")
    assert (code, output) == (2, "")
    assert errors == f"vicinal: {tmp_path / 'other'}: is neither empty nor an earlier backup\n"


@pytest.mark.parametrize("only", [[], ["--collection", "things"]])
def test_the_space_of_deleted_records_comes_back(run: Run, path: Path, only: list[str]) -> None:
    with vicinal.PersistentClient(path) as client:
        things = client.get_collection("things")
        things.delete(ids=[f"id {i}" for i in range(0, 1234, 3)])
        before = dump(things)
    assert run("compact", path, *only) == (0, "", "")
    with vicinal.PersistentClient(path) as client:
        assert dump(client.get_collection("things")) == before
    assert sorted(file.name for file in path.rglob("vectors-*")) == ["vectors-0.f32", "vectors-1.f32"]


@pytest.mark.parametrize("name", ["nothing", ""])
def test_a_collection_that_does_not_exist_cannot_be_compacted(run: Run, path: Path, name: str) -> None:
    """An empty name, as of a shell's variable, would stand for every collection."""
    code, output, errors = run("compact", path, "--collection", name)
    assert (code, output) == (2, "")
    hint = f"vicinal info {path} lists them; --tenant and --database say where one is"
    assert errors == f"vicinal: Collection [{name}] does not exist. {hint}\n"


@pytest.mark.parametrize("only", [[], ["--collection", "things"]])
def test_what_cannot_be_written_is_not_compacted(run: Run, path: Path, only: list[str], sealed: Any) -> None:
    """And no advice is given that the command line cannot follow."""
    with sealed(path):
        refused = run("compact", path, *only)
    assert refused == (2, "", f"vicinal: {path}: the directory is not writable\n")


def test_what_cannot_be_written_is_not_repaired(run: Run, path: Path, sealed: Any) -> None:
    damage(path)
    with sealed(path):
        code, output, errors = run("check", "--repair", path)
    assert (code, "record 'id 1' (row 1)" in output) == (2, True)
    assert errors == f"vicinal: {path}: the directory is not writable\n"


@pytest.mark.parametrize("place", ["--tenant", "--database"])
@pytest.mark.parametrize("name", ["acme", ""])
def test_a_tenant_without_a_collection_is_refused(run: Run, path: Path, place: str, name: str) -> None:
    """Every collection of every tenant would be compacted."""
    refused = "vicinal: --tenant and --database say where --collection is; give that, too\n"
    assert run("compact", path, place, name) == (2, "", refused)


@pytest.mark.parametrize(
    "command", [["check"], ["check", "--repair"], ["info"], ["compact"], ["backup", "--"]]
)
def test_a_missing_database_is_not_made_by_looking_for_it(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    target = ["copy"] if command[0] == "backup" else []
    assert run(*command, "nowhere", *target) == (2, "", "vicinal: nowhere: holds no Vicinal database\n")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_with_other_things_in_it_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    code, _, errors = run("info", tmp_path)
    assert (code, errors) == (2, f"vicinal: {tmp_path}: holds no Vicinal database\n")
    assert [file.name for file in tmp_path.iterdir()] == ["notes"]


def test_an_import_beside_chromas_own_files_warns_of_nothing(run: Run, tmp_path: Path) -> None:
    with zipfile.ZipFile(MUSEUM / "chroma-1.5.9.zip") as packed:
        packed.extractall(tmp_path / "chroma")
    code, told, errors = run("import", f"chroma://{tmp_path / 'chroma'}", "--into", tmp_path / "chroma")
    assert (0, "", True) == (code, errors, "records" in told)
    assert run("check", tmp_path / "chroma")[0] == 0


@pytest.mark.parametrize(
    "arguments", [[], ["unknown"], ["check"], ["backup", "one"], ["check", "--unknown", "x"]]
)
def test_wrong_arguments_are_answered_with_the_usage(run: Run, arguments: list[str]) -> None:
    code, output, errors = run(*arguments)
    assert (code, output, errors[:13]) == (2, "", "usage: vicina")


def test_a_database_that_is_open_elsewhere_can_be_looked_after(run: Run, path: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        things = client.get_collection("things")
        things.delete(ids=["id 0"])
        assert run("compact", path)[0] == run("check", path)[0] == run("backup", path, "copy")[0] == 0
        things.add(ids=["new"], embeddings=[[5, 5]])
        assert (things.count(), client.check()) == (1234, [])
