"""The corpus is what this Python says about itself: every public docstring and the language reference."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from demo import corpus, source
from demo.entries import Entry

ROOT = Path(__file__).resolve().parents[2]


def passage_of(code: str, qualname: str) -> source.Passage:
    module = source.parse(code.encode(), "m", "m.py")
    return next(p for p in source.passages_of_module(module) if p.id == qualname)


def test_there_are_more_than_6000_entries(entries: list[Entry]) -> None:
    assert len(entries) > 6_000


def test_ids_are_unique(entries: list[Entry]) -> None:
    assert len({entry.id for entry in entries}) == len(entries)


def test_reading_imports_nothing() -> None:
    code = (
        "import ast, glob, sys, demo.corpus as c;"
        "ast.unparse(ast.parse('1'));"  # ast and pathlib import parts of theirs when they are needed
        "before = set(sys.modules); c.python_docs();"
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('encodings.')))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_entry_says_where_it_comes_from(entries: list[Entry]) -> None:
    wanted = {"module", "package", "qualname", "name", "kind", "signature", "lines", "status", "chunk"}
    assert [entry.id for entry in entries if not wanted <= entry.metadata.keys()] == []
    assert {entry.metadata["kind"] for entry in entries} == {
        "module",
        "class",
        "function",
        "method",
        "property",
        "topic",
    }


def test_only_public_names_are_read(entries: list[Entry]) -> None:
    names = {str(e.metadata["qualname"]) for e in entries if e.metadata["kind"] != "topic"}
    assert [name for name in names if any(part.startswith("_") for part in name.split("."))] == []


@pytest.mark.parametrize(
    "id",
    [
        "collections.Counter.most_common",  # in source
        "builtins.sorted",  # in C
        "collections.deque.appendleft",  # in C, in a module that is in source
        "itertools.permutations",
        "os.listdir",
        "re.Pattern.sub",
        "datetime.datetime.strptime",  # in the private twin of a module in C
        "pathlib.PurePath.joinpath",  # in a private module of the package (3.13)
        "concurrent.futures.Future.done",  # passed on by the package's __all__
        "help/function/function-definitions",  # in the language reference
        "help/with/the-with-statement",
    ],
)
def test_what_users_know_by_name_is_found_by_that_name(entries: list[Entry], id: str) -> None:
    assert id in {entry.id for entry in entries}


def test_a_module_does_not_show_what_it_only_uses(entries: list[Entry]) -> None:
    assert not any(entry.id.startswith("random.Sequence") for entry in entries)


def test_the_signature_is_the_call_that_a_user_writes(entries: list[Entry]) -> None:
    signatures = {entry.id: entry.metadata["signature"] for entry in entries}
    assert signatures["collections.Counter.most_common"] == "most_common(n=None)"
    assert signatures["heapq.merge"] == "merge(*iterables, key=None, reverse=False)"
    assert signatures["builtins.sorted"] == "sorted(iterable, /, *, key=None, reverse=False)"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("self", ""),
        ("self, /", ""),
        ("self, /, a=1", "a=1"),
        ("cls, *a, **k", "*a, **k"),
        ("a, self", "a, self"),
        ("self=None, x=1", "x=1"),
        ("self: C=None, /, x: int=1, *, y", "x: int=1, *, y"),
        ("self, a, /, b=1", "a, /, b=1"),
    ],
)
def test_self_is_not_in_a_signature(arguments: str, shown: str) -> None:
    found = passage_of(f"class C:\n def f({arguments}):\n  'doc'", "m.C.f")
    assert found.metadata["signature"] == f"f({shown})"


def test_a_class_is_called_with_the_arguments_of_its_init() -> None:
    found = passage_of("class C:\n 'doc'\n def __init__(self, a, *, b=2): pass", "m.C")
    assert found.metadata["signature"] == "C(a, *, b=2)"


def test_definitions_under_a_condition_are_read() -> None:
    assert passage_of("try:\n import x\nexcept ImportError:\n def f():\n  'doc'", "m.f").body == "doc"


@pytest.mark.parametrize(
    "code",
    [
        "try:\n pass\nfinally:\n {}",
        "with x:\n {}",
        "for x in y:\n {}",
        "while x:\n pass\nelse:\n {}",
        "match x:\n case 1:\n  {}",
        pytest.param(
            "try:\n pass\nexcept* OSError:\n {}",
            marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="except* is Python 3.11's"),
        ),
    ],
)
def test_definitions_in_every_block_are_read(code: str) -> None:
    assert passage_of(code.format("def f(): 'doc'"), "m.f").body == "doc"


def source_of_f(code: bytes) -> str:
    module = source.parse(code, "m", "m.py")
    [passage] = source.passages_of_module(module, source.Reading.EVERYTHING)
    return passage.body


@pytest.mark.parametrize("mark", ["\f", "\x1c", "\u2028", "\x85"])
def test_a_line_ends_where_the_parser_ends_it(mark: str) -> None:
    assert (
        source_of_f(f"x = 1  #{mark}\r\ndef f():\r    return 2\n".encode())
        == "    def f():\n        return 2"
    )


def test_code_is_read_by_the_encoding_that_it_names() -> None:
    code = "# coding: latin-1\ndef f(): return 'café'\n"
    assert source_of_f(code.encode("latin-1")) == "    def f(): return 'café'"
    assert source_of_f("\ufeffdef f(): return 'café'".encode()) == "    def f(): return 'café'"


def test_lines_are_counted_and_placed() -> None:
    found = passage_of("x = 1\n\ndef f():\n    'doc'\n    return 1\n", "m.f")
    assert (found.metadata["file"], found.metadata["line"], found.metadata["lines"]) == ("m.py", 3, 3)


@pytest.mark.parametrize(
    "body",
    [
        "'This is deprecated, use g.'",
        "'''Do.\n\n Deprecated since version 3.3.'''",
        "'Do.'\n warnings.warn('no', DeprecationWarning)",
    ],
)
def test_what_is_deprecated_is_marked(body: str) -> None:
    assert passage_of(f"def f():\n {body}", "m.f").metadata["status"] == "deprecated"


def test_what_only_mentions_deprecation_is_not_marked() -> None:
    body = "'Warn of a deprecated feature.'\n if old: warnings.warn('no', DeprecationWarning)"
    assert passage_of(f"def f():\n {body}", "m.f").metadata["status"] == "current"


@pytest.mark.parametrize(
    "text",
    [
        "# -*- coding: utf-8 -*-\ntopics = {'if': 'The \"if\" statement\\n'\n  'more\\n'}\n",
        "topics = {\n 'if': r'''The \"if\" statement\nmore\n''',\n}\n",
        "topics: dict[str, str] = {'if': 'The \"if\" statement\\nmore\\n'}\n",
    ],
)
def test_topics_are_read_however_they_are_spelled(text: str) -> None:
    assert corpus.topics_in(text) == {"if": 'The "if" statement\nmore\n'}


def test_a_python_without_topics_has_none(tmp_path: Path) -> None:
    assert list(corpus.topic_passages(tmp_path)) == []


def test_a_file_that_does_not_parse_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def")
    (tmp_path / "null.py").write_bytes(b"x = '\0'")
    (tmp_path / "good.py").write_text("'doc'")
    files = corpus.library_files(tmp_path)
    found = [p.id for file in files for p in corpus._passages_of_file(file, tmp_path, set())]
    assert [file.module for file in files] == ["bad", "good", "null"]
    assert found == ["good"]


def test_a_python_without_source_files_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(corpus.os, "__file__", str(tmp_path / "os.py"))
    with pytest.raises(corpus.CorpusError, match=r"No Python source files under .* \.py files"):
        corpus.python_docs()


def test_the_demo_itself_parses_for_python_3_10() -> None:
    for file in (ROOT / "demo").glob("*.py"):
        ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 10))
