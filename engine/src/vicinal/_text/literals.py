"""What must a text contain to match this pattern?

A conservative reading of what `$contains` and `$regex` are given: a requirement is a set of strings all of
which occur in every matching text, and alternatives of which one holds. What this file does not understand
requires nothing; it never requires what a matching text may lack (test_no_match_is_ever_lost).

Source of the idea: Cox, Regular Expression Matching with a Trigram Index (2012).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """All of `strings` occur, and for each of `choices` one of its requirements holds."""

    strings: tuple[str, ...] = ()
    choices: tuple[tuple[Requirement, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.strings or self.choices)


NOTHING = Requirement()


def of_substring(text: str) -> Requirement:
    """For a text that contains this one."""
    return Requirement((text,)) if text else NOTHING


def of_regex(pattern: str) -> Requirement:
    """For an RE2 pattern that is found anywhere in the text."""
    try:
        flags = _FLAGS.match(pattern)
        reader = _Reader(pattern, flags.end() if flags else 0)
        found = reader.alternatives(ignore_case=flags is not None and "i" in flags[1])
        return found if reader.ended() else NOTHING
    except (_UnsureError, RecursionError):
        return NOTHING


def _requiring(pieces: list[str], ignore_case: bool) -> Requirement:
    if ignore_case:  # other letters have equals that the index keeps apart
        pieces = [part for piece in pieces for part in re.split(r"[^\x00-\x7f]+", piece)]
    return Requirement(tuple(dict.fromkeys(piece for piece in pieces if piece)))


class _UnsureError(Exception):
    """Something that is not understood: nothing can be required."""


_FLAGS = re.compile(r"\(\?([ims]+)\)")
_NUMBER = "(?:0|[1-9][0-9]*)"  # anything else in braces stands for itself
_QUANTIFIER = re.compile(rf"(?:[*+?]|\{{({_NUMBER})(?:,{_NUMBER}?)?\}})\??")
_GROUP = re.compile(r"\((?:\?(?:P?<\w+>|([ims]*)(-[ims]+)?([:)])))?")
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\[^QEpPx0-9]|[^\]\\\[])*\]")
_SAME_CHAR = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_NO_CHAR = "dDwWsSbBAz"


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str, at: int) -> None:
        self.pattern, self.at = pattern, at

    def ended(self) -> bool:
        return self.at == len(self.pattern)

    def alternatives(self, ignore_case: bool) -> Requirement:
        """Up to the end or a closing parenthesis, which is left."""
        branches = [self._sequence(ignore_case)]
        while self._peek() == "|":
            self.at += 1
            branches.append(self._sequence(ignore_case))
        if len(branches) == 1:
            return branches[0]
        return Requirement(choices=(tuple(branches),)) if all(branches) else NOTHING

    def _sequence(self, ignore_case: bool) -> Requirement:
        pieces: list[str] = [""]
        choices: list[tuple[Requirement, ...]] = []
        strings: list[str] = []
        while (char := self._peek()) and char not in "|)":
            atom = self._atom(ignore_case)
            least, single = self._quantified()
            if isinstance(atom, str) and single:
                pieces[-1] += atom
                continue
            if isinstance(atom, str):
                if least:
                    pieces[-1] += atom
                pieces.append("")
                if least:  # `ab+c`: the last of the b stands before the c
                    pieces[-1] += atom
                continue
            pieces.append("")
            if least:
                strings.extend(atom.strings)
                choices.extend(atom.choices)
        own = _requiring(pieces, ignore_case)
        return Requirement(tuple(dict.fromkeys([*own.strings, *strings])), tuple(choices))

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _atom(self, ignore_case: bool) -> str | Requirement:
        """A character, or what a group requires; NOTHING for what is no particular character."""
        char = self._peek()
        if char == "(":
            return self._group(ignore_case)
        if char == "[":
            return self._skip(_CLASS)
        self.at += 1
        if char == "\\":
            return self._escaped()
        if char in ".^$":
            return NOTHING
        if char in "*+?{":
            raise _UnsureError
        return char

    def _escaped(self) -> str | Requirement:
        char = self._peek()
        self.at += 1
        if char in _SAME_CHAR:
            return _SAME_CHAR[char]
        if char and char in _NO_CHAR:
            return NOTHING
        if not char or not char.isascii() or char.isalnum():
            raise _UnsureError  # \Q, \p, \x, octal numbers …
        return char

    def _group(self, ignore_case: bool) -> Requirement:
        found = _GROUP.match(self.pattern, self.at)
        if not found or self.pattern[found.end() : found.end() + 1] == "?":
            raise _UnsureError
        self.at = found.end()
        on, off, end = found.groups()
        if end == ")":
            raise _UnsureError  # flags for the rest of the pattern; those at its beginning have been read
        inner = self.alternatives((ignore_case or "i" in (on or "")) and "i" not in (off or ""))
        if self._peek() != ")":
            raise _UnsureError
        self.at += 1
        return inner

    def _skip(self, what: re.Pattern[str]) -> Requirement:
        found = what.match(self.pattern, self.at)
        if not found:
            raise _UnsureError
        self.at = found.end()
        return NOTHING

    def _quantified(self) -> tuple[int, bool]:
        """How often at least the last atom occurs, and whether it does so exactly once."""
        found = _QUANTIFIER.match(self.pattern, self.at)
        if not found:
            if self._peek() == "{":
                raise _UnsureError
            return 1, True
        self.at = found.end()
        if _QUANTIFIER.match(self.pattern, self.at):
            raise _UnsureError
        if found[0][0] == "{":
            return min(int(found[1]), 1), False
        return int(found[0][0] == "+"), False
