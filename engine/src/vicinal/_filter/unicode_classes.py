r"""What do \w, \d and \s mean?  Turns a pattern in the syntax of Rust's regex, which is Chroma's, into RE2's.

RE2's classes are ASCII and Rust's are Unicode, so they are spelled out; what RE2 would take for something
else than Rust does is refused. \b and \B stay those of ASCII word characters: RE2 has no others.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

_MEMBERS = {
    "d": r"\p{Nd}",
    "s": r"\p{Z}\x{85}\t-\r",  # White_Space
    # Letters, marks, numerals, connectors, the joiners, and the circled letters, which count as Alphabetic.
    "w": r"\p{L}\p{M}\p{Nl}\p{Nd}\p{Pc}\x{200c}-\x{200d}"
    r"\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189}",
}
_ESCAPE = r"\\(?:u\w{4}|U\w{8}|[uU]\{\w+\}|.)"
_POSIX = r"\[:\^?\w+:\]"
_CLASS = rf"\[\^?\]?(?:{_POSIX}|\\.|[^\]\\])*\]?"
_ITEM = re.compile(rf"{_ESCAPE}|{_POSIX}|\[|&&|--|~~", re.DOTALL)
_TOKEN = re.compile(rf"\\Q.*?(?:\\E|\Z)|\\b\{{[a-z]|{_ESCAPE}|{_CLASS}", re.DOTALL)


def for_re2(pattern: str) -> str:
    """The pattern that means in RE2 what this one means in Rust; ValueError if there is none."""
    return _TOKEN.sub(_outside, pattern)


def _outside(found: re.Match[str]) -> str:
    token = found[0]
    if token[0] == "[":
        return "[" + _ITEM.sub(_inside, token[1:])
    if token in (r"\<", r"\>", r"\C") or token.startswith(r"\b{"):
        raise ValueError(f"invalid escape sequence: {token}")
    members = _MEMBERS.get(token[1:].lower())
    return f"[{'^' * token[1].isupper()}{members}]" if members else _code_point(token)


def _inside(found: re.Match[str]) -> str:
    token = found[0]
    if token in ("[", "&&", "--", "~~"):  # a class in a class and operations on classes, in Rust
        raise ValueError(f"{token} in a character class must be escaped")
    members = _MEMBERS.get(token[1:].lower())
    if members and token[1].isupper():
        return _all_but(members)
    return members or _code_point(token)


def _code_point(escape: str) -> str:
    r"""\u00e9 and \u{e9} as RE2 writes them; any other escape as it is."""
    return rf"\x{{{escape[2:].strip('{}')}}}" if escape[1] in "uU" and len(escape) > 2 else escape


@cache
def _all_but(members: str) -> str:
    r"""All other characters, as ranges: RE2 negates a class, but no part of one, so its own answer is read.

    The empty item before them keeps `[!-\S]` the error that it is in Rust.
    """
    import re2

    every = np.r_[0:0xD800, 0xE000:0x110000].astype("<u4").tobytes().decode("utf-32-le")
    others = re2.findall(f"[^{members}]+", every)
    return r"\P{Any}" + "".join(rf"\x{{{ord(run[0]):x}}}-\x{{{ord(run[-1]):x}}}" for run in others)
