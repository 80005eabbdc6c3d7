"""Does this text match?  Compiles `$contains`, `$like` and `$regex` patterns to predicates.

Regular expressions are RE2's: linear time whatever the pattern, no look-around, no back-references,
`.` does not match a newline, `^` and `$` are the ends of the whole text unless `(?m)` — the dialect
that Chroma's users know. The package is optional; the error names it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from vicinal.errors import InvalidFilterError, MissingDependencyError

Predicate = Callable[[str], bool]


def containing(text: str) -> Predicate:
    """Case-sensitive exact substring; no character is special."""
    return lambda document: text in document


@lru_cache(maxsize=128)
def like(pattern: str, ignore_case: bool) -> Predicate:
    """SQL's LIKE over the whole string: % any run, _ any one character, backslash escapes."""
    import re

    out: list[str] = []
    chars = iter(pattern)
    for char in chars:
        if char == "\\":
            out.append(re.escape(next(chars, "\\")))
        elif char == "%":
            # A lazy run that another run follows adds nothing but backtracking.
            if not (out and out[-1] == ".*"):
                out.append(".*")
        else:
            out.append("." if char == "_" else re.escape(char))
    simple = _simple_like(pattern, ignore_case)
    if simple is not None:
        return simple
    found = re.compile("".join(out), re.DOTALL | (re.IGNORECASE if ignore_case else 0)).fullmatch
    return lambda text: found(text) is not None


def _simple_like(pattern: str, ignore_case: bool) -> Predicate | None:
    """`%text%`, `text%` and `%text` need no regular expression, and cannot backtrack."""
    if "_" in pattern or "\\" in pattern or ignore_case:
        return None
    inner = pattern.strip("%")
    if "%" in inner:
        return None
    starts, ends = not pattern.startswith("%"), not pattern.endswith("%")
    if starts and ends:
        return lambda text: text == inner
    if starts:
        return lambda text: text.startswith(inner)
    if ends:
        return lambda text: text.endswith(inner)
    return lambda text: inner in text


@lru_cache(maxsize=128)
def regex(pattern: str) -> Predicate:
    """An RE2 pattern, found anywhere in the text."""
    try:
        import re2
    except ImportError:
        raise MissingDependencyError(feature="A $regex filter", package="google-re2", extra="regex") from None
    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(pattern, options).search
    except re2.error as error:
        raise InvalidFilterError(
            path="$regex", problem=f"{pattern!r} is no RE2 regular expression: {_text(error)}"
        ) from None
    return lambda text: search(text) is not None


def _text(error: Exception) -> str:
    detail = error.args[0] if error.args else "it cannot be parsed"
    return detail.decode() if isinstance(detail, bytes) else str(detail)
