"""What is one entry of the collection, and how does a long text become several?

An entry is one record to be: id, text (what is embedded, shown and quoted) and metadata (what
filters select by). Whatever a corpus reads (a docstring, a chapter of the language reference, a
page of notes) becomes a `Passage` first; `entries_of` then cuts it between paragraphs, so that no
entry says more than one embedding can hold, and gives every piece the same heading, because a piece
without its name is found by nobody.

* The first piece carries the plain id, later ones `id#2`, `id#3` …
  (test_the_pieces_of_a_passage_share_its_name).
* Ids are unique over one call of `entries_of` (test_ids_are_unique): of two passages with one id
  the first stays, unless `with_ids_of_their_own` told them apart.

Sizes are in characters and were chosen by hit@5 on `pairs.PAIRS`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Union

MetadataValue = Union[str, int]
Section = tuple[tuple[str, ...], int, str]
"""The headings above a text, outermost first; the number of its first line; the text."""

# hit@5 is flat from 300 to 700 characters and three questions of 55 lower at 1,000: a static embedding is
# a mean of word vectors, and the mean of a chapter is near to every question and to none.
PIECE_CHARS = 700
# A longer docstring's first paragraph, its summary, is a piece of its own: four more questions of 55
# find their entry.
SUMMARY_ALONE_OVER = 300
SLUG_CHARS_MAX = 80
# Raise this when the cutting, the headings or the metadata change, so that collections cut by the older rule
# are brought up to date.
RECIPE = 2


@dataclass(frozen=True)
class Passage:
    """One text with a name, before it is cut: a docstring, a topic, a section of a file."""

    id: str
    heading: str
    body: str
    metadata: dict[str, MetadataValue] = field(default_factory=dict)
    begins_with_summary: bool = False


@dataclass(frozen=True)
class Entry:
    """One record to be: what `collection.add` takes, by the item instead of by the column."""

    id: str
    text: str
    metadata: dict[str, MetadataValue]


def with_ids_of_their_own(passages: Iterable[Passage]) -> Iterator[Passage]:
    """The passages, none lost to another's id: the second `a` is `a-2`, or the next that nobody has."""
    given: set[str] = set()
    repeats: Counter[str] = Counter()
    for passage in passages:
        id = passage.id
        while id in given:
            repeats[passage.id] += 1
            id = f"{passage.id}-{repeats[passage.id] + 1}"
        given.add(id)
        yield replace(passage, id=id)


def entries_of(passages: Iterable[Passage]) -> Iterator[Entry]:
    """Cut passages into entries of about `PIECE_CHARS` characters, each under its passage's heading.

    Empty passages give nothing; of several passages with the same id only the first is kept.
    """
    seen: set[str] = set()
    for passage in passages:
        if passage.id in seen:
            continue
        seen.add(passage.id)
        pieces = _pieces_of_passage(passage)
        for number, piece in enumerate(pieces, start=1):
            yield Entry(
                id=passage.id if number == 1 else f"{passage.id}#{number}",
                text=f"{passage.heading}\n\n{piece}" if passage.heading else piece,
                metadata={**passage.metadata, "chunk": number, "chunks": len(pieces)},
            )


def _pieces_of_passage(passage: Passage) -> list[str]:
    summary, _, rest = passage.body.partition("\n\n")
    if passage.begins_with_summary and rest and len(passage.body) > SUMMARY_ALONE_OVER:
        return [*pieces_of(summary), *pieces_of(rest)]
    return pieces_of(passage.body)


def pieces_of(text: str, piece_chars: int = PIECE_CHARS) -> list[str]:
    """Group paragraphs into pieces of at most `piece_chars`; a longer paragraph is cut between its lines."""
    pieces: list[str] = []
    for block in _blocks(text, piece_chars):
        if pieces and len(pieces[-1]) + 2 + len(block) <= piece_chars:
            pieces[-1] += "\n\n" + block
        else:
            pieces.append(block)
    return pieces


def _blocks(text: str, block_chars: int) -> Iterator[str]:
    for paragraph in re.split(r"\n[ \t]*\n", text):
        stripped = paragraph.strip("\n").rstrip()
        if len(stripped) <= block_chars:
            if stripped:
                yield stripped
            continue
        block = ""
        for line in stripped.split("\n"):
            if block and len(block) + 1 + len(line) > block_chars:
                yield block
                block = line
            else:
                block = f"{block}\n{line}" if block else line
        yield block


def valid_text(text: str) -> str:
    """The text with its lone surrogates, which no UTF-8 can hold, written as escapes: `\\udcff.md`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


# --- headings of plain text ---------------------------------------------------------------------------


def sections_of(text: str) -> list[Section]:
    """Split plain text or reStructuredText at underlined headings; sections without text are left out."""
    lines = text.split("\n")
    starts = [number for number in range(len(lines) - 1) if _is_heading(lines, number)]
    sections: list[Section] = [((), 1, "\n".join(lines[: starts[0]] if starts else lines))]
    path: dict[str, str] = {}  # underline mark → heading, outermost first
    for start, end in zip(starts, [*starts[1:], len(lines)]):
        mark = lines[start + 1][0]
        if mark in path:  # a mark seen before closes every heading opened since
            path = dict(list(path.items())[: list(path).index(mark)])
        path[mark] = lines[start].strip()
        sections.append((tuple(path.values()), start + 1, "\n".join(lines[start + 2 : end])))
    return [(headings, line, body.strip("\n")) for headings, line, body in sections if _has_words(body)]


def slug(heading: str) -> str:
    """A heading as it stands in an id: `The "with" statement` is `the-with-statement`."""
    return re.sub(r"\W+", "-", heading.lower()).strip("-")[:SLUG_CHARS_MAX].strip("-")


def _is_heading(lines: list[str], number: int) -> bool:
    heading, underline = lines[number].rstrip(), lines[number + 1].rstrip()
    if not _has_words(heading) or heading.startswith(" "):
        return False
    return bool(re.fullmatch(r"([*=\-~^#\"+`'.:])\1{2,}", underline)) and len(underline) >= len(heading)


def _has_words(text: str) -> bool:
    return bool(re.search(r"\w", text))
