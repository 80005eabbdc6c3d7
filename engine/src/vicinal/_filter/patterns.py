"""Does this text match?  Compiles `$contains`, `$like` and `$regex` patterns to predicates.

Regular expressions are matched by RE2: linear time whatever the pattern, no look-around, no back-references,
`.` does not match a newline, `^` and `$` are the ends of the whole text unless `(?m)`. Chroma's are those of
Rust's regex, whose Unicode classes `unicode_classes` gives them; `docs/chroma-compatibility.md` lists what
still differs, word boundaries above all. The package is optional; the error names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from vicinal._filter.unicode_classes import for_re2
from vicinal._optional import package
from vicinal.errors import InvalidFilterError

Predicate = Callable[[str], bool]


def containing(text: str) -> Predicate:
    """Case-sensitive exact substring; no character is special."""
    return lambda document: text in document


@lru_cache(maxsize=128)
def like(pattern: str, ignore_case: bool) -> Predicate:
    """SQL's LIKE over the whole string: % any run, _ any one character, backslash escapes.

    The pieces between runs are found one after the other, each at its first place: that is enough, and
    takes linear time for any pattern, where one regular expression would try every combination. What only
    asks for a part of the text, as frameworks' filters do, is no regular expression at all: 30 times as fast.
    """
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    parts = _pieces(pattern)
    if not ignore_case and len(parts) == 3 and not parts[0] and not parts[2] and "." not in parts[1]:
        return containing("".join(char[-1] for char in parts[1]))
    first, *middle = (re.compile("".join(part), flags) for part in parts)
    if not middle:
        return lambda text: first.fullmatch(text) is not None
    last, last_length = middle.pop(), len(parts[-1])

    def matches(text: str) -> bool:
        found = first.match(text)
        for piece in middle:
            found = found and piece.search(text, found.end())
        start = len(text) - last_length
        return found is not None and start >= found.end() and last.fullmatch(text, start) is not None

    return matches


def _pieces(pattern: str) -> list[list[str]]:
    """The parts between % runs; each is a list with an expression for every character."""
    pieces: list[list[str]] = [[]]
    chars = iter(pattern)
    for char in chars:
        if char == "%":
            pieces.append([])
        elif char == "\\":
            pieces[-1].append(re.escape(next(chars, "\\")))
        else:
            pieces[-1].append("." if char == "_" else re.escape(char))
    return pieces


@lru_cache(maxsize=128)
def regex(pattern: str) -> Predicate:
    """A pattern of RE2 with Unicode's classes, found anywhere in the text."""
    re2 = package("re2", name="google-re2", extra="regex", feature="A $regex filter")
    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(for_re2(pattern), options).search
    except (re2.error, ValueError) as error:
        raise InvalidFilterError(
            path="$regex", problem=f"{pattern!r} is no RE2 regular expression: {_text(error, pattern)}"
        ) from None
    return lambda text: search(text) is not None


def _text(error: Exception, pattern: str) -> str:
    """RE2's words, without the place where that is not in the pattern as it was written."""
    detail = error.args[0] if error.args else "it cannot be parsed"
    detail = detail.decode() if isinstance(detail, bytes) else str(detail)
    what, _, place = detail.partition(": ")
    return detail if place in pattern else what
