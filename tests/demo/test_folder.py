"""A folder of the user's own texts becomes entries; what cannot be read is reported, not fatal."""

from __future__ import annotations

import ast
import errno
import os
from pathlib import Path

import pytest
from demo import folder
from demo.corpus import CorpusError
from demo.entries import Entry
from demo.folder import Skipped, folder_entries


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").write_text(
        "Before.\n\n# Install\n\nUse pip.\n\n```sh\n# no heading\n```\n\n"
        "## On Windows\n\nUse py.\n\n# Run\n\nGo.\n"
    )
    (tmp_path / "changes.rst").write_text("Changes\n=======\n\n1.1\n---\n\nFaster.\n")
    (tmp_path / "todo.txt").write_text("Feed the cat.\n\nWater the plants.\n")
    (tmp_path / "tool.py").write_text(
        '"""A tool."""\n\ndef _hidden(x):\n    return x + 1\n\n'
        'class C:\n    def m(self):\n        """Says m."""\n        return 2\n'
    )
    return tmp_path


def by_id(entries: list[Entry]) -> dict[str, Entry]:
    return {entry.id: entry for entry in entries}


def test_markdown_is_cut_at_its_headings(notes: Path) -> None:
    found = by_id(folder_entries(notes)[0])
    assert found["docs/guide.md"].text == "docs/guide.md\n\nBefore."
    assert found["docs/guide.md/install"].text.endswith("# no heading\n```")
    assert found["docs/guide.md/on-windows"].text == "Install › On Windows\n\nUse py."
    assert found["docs/guide.md/run"].metadata["line"] == 15


def test_restructured_text_is_cut_at_its_headings(notes: Path) -> None:
    assert by_id(folder_entries(notes)[0])["changes.rst/1-1"].text == "Changes › 1.1\n\nFaster."


def test_plain_text_is_read(notes: Path) -> None:
    assert by_id(folder_entries(notes)[0])["todo.txt"].text.endswith("Feed the cat.\n\nWater the plants.")


def test_code_is_read_with_its_source_documented_or_not(notes: Path) -> None:
    found = by_id(folder_entries(notes)[0])
    assert found["tool.py"].text == "tool\n\nA tool."
    assert found["tool.py::_hidden"].text == "tool._hidden\n\n    def _hidden(x):\n        return x + 1"
    assert found["tool.py::C.m"].text == "tool.C.m\n\nSays m.\n\n    def m(self):\n        return 2"


def test_headings_of_one_name_have_different_ids(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Example\n\none\n\n# Example\n\ntwo\n")
    assert sorted(by_id(folder_entries(tmp_path)[0])) == ["a.md/example", "a.md/example-2"]


def test_no_section_is_lost_to_a_heading_that_ends_in_a_number(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Step\n\none\n\n# Step\n\ntwo\n\n# Step 2\n\nthree\n")
    texts = {entry.id: entry.text for entry in folder_entries(tmp_path)[0]}
    assert texts == {
        "a.md/step": "Step\n\none",
        "a.md/step-2": "Step\n\ntwo",
        "a.md/step-2-2": "Step 2\n\nthree",
    }


def test_a_section_under_an_empty_heading_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("#\n\nsome words\n")
    [entry] = folder_entries(tmp_path)[0]
    assert (entry.metadata["name"], entry.metadata["title"]) == ("a.md", "a.md")


def unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder as everyone but root finds it after `chmod 000`."""
    scandir = os.scandir

    def refuse(path: Path | str) -> object:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_a_folder_that_cannot_be_read_is_reported_and_skipped(
    notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable(notes / "docs", monkeypatch)
    entries, skipped = folder_entries(notes)
    assert skipped == [Skipped("docs/", "Permission denied")]
    assert "todo.txt" in by_id(entries)


def test_what_holds_no_text_but_unreadable_folders_says_so(
    notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (notes / "empty" / "inner").mkdir(parents=True)
    unreadable(notes / "empty" / "inner", monkeypatch)
    with pytest.raises(CorpusError, match=r"below it, of what can be read \(inner/: Permission denied\)\.$"):
        folder_entries(notes / "empty")
    with pytest.raises(CorpusError, match=r"inner: it cannot be read \(Permission denied\)\.$"):
        folder_entries(notes / "empty" / "inner")


def test_what_cannot_be_read_is_reported_and_skipped(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "FILE_BYTES_MAX", 1_000)
    (notes / "latin.txt").write_bytes("café".encode("latin-1"))
    (notes / "broken.py").write_text("def f(:\n")
    (notes / "null.py").write_bytes(b"x = '\0'\n")
    (notes / "large.txt").write_text("x" * 1_001)
    (notes / "gone.md").symlink_to(notes / "nowhere.md")
    entries, skipped = folder_entries(notes)
    reasons = {skip.file: skip.reason for skip in skipped}
    assert sorted(reasons) == ["broken.py", "gone.md", "large.txt", "latin.txt", "null.py"]
    assert reasons["latin.txt"] == "not UTF-8 text (byte 3)"
    assert reasons["large.txt"] == "larger than 1,000 bytes"
    assert reasons["gone.md"] == "No such file or directory"
    assert reasons["broken.py"].startswith("not valid Python: ")
    assert "todo.txt" in by_id(entries)


def test_code_that_is_nested_too_deeply_is_reported_and_skipped(notes: Path) -> None:
    (notes / "deep.py").write_text("+".join(["1"] * 20_000))
    entries, skipped = folder_entries(notes)
    assert skipped in ([], [Skipped("deep.py", "nested too deeply to be parsed")])  # some Pythons parse it
    assert "todo.txt" in by_id(entries)


@pytest.mark.parametrize("error", [RecursionError, MemoryError])
def test_a_parser_that_gives_up_is_reported(
    notes: Path, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(content: bytes) -> None:
        raise error

    monkeypatch.setattr(ast, "parse", give_up)
    entries, skipped = folder_entries(notes)
    assert skipped == [Skipped("tool.py", "nested too deeply to be parsed")]
    assert "todo.txt" in by_id(entries)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_only_regular_files_are_read(notes: Path) -> None:
    (notes / "device.txt").symlink_to(os.devnull)
    assert folder_entries(notes)[1] == [Skipped("device.txt", "not a regular file")]
    os.mkfifo(notes / "pipe.txt")  # not before: a reader of devices would wait here for ever
    entries, skipped = folder_entries(notes)
    assert [skip.file for skip in skipped] == ["device.txt", "pipe.txt"]
    assert "todo.txt" in by_id(entries)


def test_a_docstring_with_a_lone_surrogate_is_valid_text(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""Half of one: \\ud800."""\n')
    assert folder_entries(tmp_path)[0][0].text == "a\n\nHalf of one: \\ud800."


def test_tools_and_hidden_folders_are_passed_over(notes: Path) -> None:
    for name in (".git", ".venv", "node_modules", "__pycache__"):
        (notes / name).mkdir()
        (notes / name / "README.md").write_text("not the user's words")
    assert len(folder.files_in(notes)) == 4


def test_a_byte_order_mark_and_windows_line_ends_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    assert folder_entries(tmp_path)[0][0].text == "a.txt\n\none\ntwo"


def test_every_kind_of_line_end_ends_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"one\rmore\r\n# Two\n\ntext\rtext\n\n# Three\n\nend\n")
    texts = {entry.id: entry.text for entry in folder_entries(tmp_path)[0]}
    assert texts == {
        "a.md": "a.md\n\none\nmore",
        "a.md/two": "Two\n\ntext\ntext",
        "a.md/three": "Three\n\nend",
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"it does not exist\. Give a folder"),
        (lambda path: path.write_text("x"), r"it is a file\. Give a folder"),
        (lambda path: path.mkdir(), r"there is no \.md, \.rst, \.txt, \.py file"),
        (
            lambda path: (path.mkdir(), (path / "a.txt").write_text(" ")),
            r"none of its 1 files gave any text \(they are",
        ),
        (
            lambda path: (path.mkdir(), (path / "a.txt").write_bytes(b"\xff")),
            r"gave any text \(a\.txt: not UTF-8 text",
        ),
    ],
    ids=["missing", "file", "empty", "blank", "unreadable"],
)
def test_a_folder_without_texts_is_a_clear_error(tmp_path: Path, make, message: str) -> None:
    make(tmp_path / "it")
    with pytest.raises(CorpusError, match=message):
        folder_entries(tmp_path / "it")


def test_a_skipped_file_is_named_with_its_reason() -> None:
    assert Skipped("a.txt", "because").file == "a.txt"
