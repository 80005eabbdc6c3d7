"""Which texts lie in a folder of the user's own?

`.md`, `.rst` and `.txt` files give a passage for each section (by their headings), `.py` files one
for each module, class and function, with its source. What cannot be read, be it a file or a folder,
is reported and skipped, and a collection keeps nothing of it; nothing is ever executed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from markdown_it import MarkdownIt

from . import source
from .corpus import CorpusError, OnFile, unwatched
from .entries import (
    Entry,
    Passage,
    Section,
    entries_of,
    sections_of,
    slug,
    valid_text,
    with_ids_of_their_own,
)

SUFFIXES = (".md", ".rst", ".txt", ".py")
# A larger file is data, not prose.
FILE_BYTES_MAX = 2_000_000
# Folders of tools and copies, not of the user's words; hidden folders are passed over too.
_SKIPPED = {"node_modules", "__pycache__", "site-packages", "venv", "build", "dist"}


@dataclass(frozen=True)
class Skipped:
    """A file, or with a `/` at its end a folder, that was passed over, and why."""

    file: str
    reason: str


def files_in(folder: Path, skipped: list[Skipped] | None = None) -> list[Path]:
    """The readable kinds of files under `folder`, in order; `skipped` gets the folders it could not enter.

    Raises:
        CorpusError: There is no such folder, it cannot be entered, or there is no such file in it.
    """
    skipped = [] if skipped is None else skipped

    def skip(error: OSError) -> None:
        file = _name_of(Path(error.filename), folder)
        if file == ".":
            raise CorpusError(f"--path {folder}: it cannot be read ({_reason(error)}).") from error
        skipped.append(Skipped(f"{file}/", _reason(error)))

    if not os.path.isdir(folder):  # which, unlike Path's, is false of a name that no file can have
        what = "is a file" if os.path.exists(folder) else "does not exist"
        raise CorpusError(f"--path {folder}: it {what}. Give a folder with {', '.join(SUFFIXES)} files.")
    found = []
    for parent, folders, names in os.walk(folder, onerror=skip):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in _SKIPPED)
        found += [
            Path(parent, name) for name in sorted(names) if name.lower().endswith(SUFFIXES) and name[0] != "."
        ]
    if not found:
        of_what = f", of what can be read ({_first_of(skipped)})" if skipped else ""
        raise CorpusError(
            f"--path {folder}: there is no {', '.join(SUFFIXES)} file in it or below it{of_what}."
        )
    return found


def folder_entries(folder: Path, on_file: OnFile = unwatched) -> tuple[list[Entry], list[Skipped]]:
    """The entries of every file under `folder`, and the files and folders that could not be read.

    Raises:
        CorpusError: There is nothing in the folder that could be read.
    """
    found: list[Passage] = []
    skipped: list[Skipped] = []
    files = files_in(folder, skipped)
    for done, path in enumerate(files, start=1):
        file = _name_of(path, folder)
        try:
            found += passages_of_file(path, file)
        except SyntaxError as error:
            skipped.append(Skipped(file, f"not valid Python: {error.msg} (line {error.lineno})"))
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            skipped.append(Skipped(file, _reason(error)))
        on_file(done, len(files))
    # Sections of one heading share an id, as do a property and its setter; here all are shown.
    entries = list(entries_of(with_ids_of_their_own(found)))
    if not entries:
        reasons = _first_of(skipped) or "they are empty"
        raise CorpusError(f"--path {folder}: none of its {len(files)} files gave any text ({reasons}).")
    return entries, skipped


def passages_of_file(path: Path, file: str) -> list[Passage]:
    """The passages of one file, `file` being its name as users see it.

    Raises OSError, SyntaxError, or ValueError (UnicodeDecodeError among them) for what cannot be read, and
    RecursionError or MemoryError for code that is nested too deeply for Python's parser.
    """
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ValueError(f"larger than {FILE_BYTES_MAX:,} bytes")
    if not path.is_file():
        raise ValueError("not a regular file")
    content = path.read_bytes()
    if path.suffix.lower() == ".py":
        return list(_passages_of_code(content, file))
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    sections = markdown_sections(text) if path.suffix.lower() == ".md" else sections_of(text)
    return list(_passages_of_sections(sections, file))


def markdown_sections(text: str) -> list[Section]:
    """As `entries.sections_of`, for Markdown: a `#` in a code block is no heading."""
    lines = text.split("\n")
    tokens = MarkdownIt().parse(text)
    headings = [
        (int(token.tag[1:]), tokens[i + 1].content, *(token.map or (0, 0)))
        for i, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]
    first = headings[0][2] if headings else len(lines)
    sections: list[Section] = [((), 1, "\n".join(lines[:first]))]
    path: list[tuple[int, str]] = []
    ends = [start for _, _, start, _ in headings[1:]] + [len(lines)]
    for (level, title, start, body_start), end in zip(headings, ends):
        path = [*(above for above in path if above[0] < level), (level, title)]
        sections.append((tuple(name for _, name in path), start + 1, "\n".join(lines[body_start:end])))
    return [(names, line, body.strip("\n")) for names, line, body in sections if body.strip()]


def _passages_of_sections(sections: list[Section], file: str) -> Iterator[Passage]:
    for headings, line, body in sections:
        title = " › ".join(headings) or file
        yield Passage(
            id=f"{file}/{slug(headings[-1])}" if headings else file,
            heading=title,
            body=body,
            metadata={
                "module": file,
                "package": file.partition("/")[0],
                "qualname": title,
                "name": (headings[-1] if headings else "") or file,
                "kind": "section",
                "title": title,
                "signature": "",
                "lines": body.count("\n") + 1,
                "status": "current",
                "file": file,
                "line": line,
            },
        )


def _passages_of_code(content: bytes, file: str) -> Iterator[Passage]:
    name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    module = source.parse(content, name, file)
    for passage in source.passages_of_module(module, source.Reading.EVERYTHING):
        id = file if passage.id == name else f"{file}::{passage.id.removeprefix(name + '.')}"
        yield replace(passage, id=id)


def _name_of(path: Path, folder: Path) -> str:
    return valid_text(path.relative_to(folder).as_posix())


def _first_of(skipped: list[Skipped]) -> str:
    return "; ".join(f"{skip.file}: {skip.reason}" for skip in skipped[:3])


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text (byte {error.start})"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, (RecursionError, MemoryError)):
        return "nested too deeply to be parsed"
    return str(error)
