r"""A `$regex` finds in any language what Chroma's finds: \w, \d and \s are Unicode's.

What is expected is what Chroma 1.5.9 answered; a random pattern is compared with Python's `re`.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal._filter import patterns
from vicinal.errors import InvalidFilterError

DOCUMENTS = {
    "accent": "café",
    "combining": "e\u0301",
    "arabic": "١٢٣ كلمة",
    "nbsp": "a\u00a0b",
    "tab": "a\x0bb",
    "next": "a\x85b",
    "kanji": "東京2024",
    "roman": "Ⅷ",
    "circled": "Ⓐ🄰",
    "joiner": "\u200c\u200d",
    "square": "x²",
    "emoji": "🦊",
    "control": "\x1c",
    "ascii": "foo_1 [d]\\d-z",
}
EXPECTED = [
    (r"caf\w$", "accent"),
    (r"^\w+$", "accent combining kanji roman circled joiner"),
    (r"^\W+$", "emoji control"),
    (r"\W", "arabic nbsp tab next square emoji control ascii"),
    (r"^\w\W$", "square"),
    (r"\d{3}", "arabic kanji"),
    (r"^\D+$", "accent combining nbsp tab next roman circled joiner square emoji control"),
    (r"a\sb", "nbsp tab next"),
    (r"^\S+$", "accent combining kanji roman circled joiner square emoji control"),
    (r"(?i)CAF\w", "accent"),
    (r"(?P<year>\d+)$", "kanji"),
    # in classes
    (r"^[\w]+$", "accent combining kanji roman circled joiner"),
    (r"^[^\W]+$", "accent combining kanji roman circled joiner"),
    (r"^[^\W\d]+$", "accent combining roman circled joiner"),
    (r"^[^\W_a-z]+$", "kanji roman circled joiner"),
    (r"(?i)^[^\Wa-f]+$", "kanji roman circled joiner"),
    (r"^[^\w\s]+$", "emoji control"),
    (r"^[^\S]", ""),
    (r"[^\S\v]", "arabic nbsp next ascii"),
    (r"^[\S\v]+$", "accent combining tab kanji roman circled joiner square emoji control"),
    (r"^[\D٢]+$", "accent combining nbsp tab next roman circled joiner square emoji control"),
    (r"^[\W\d]+$", "emoji control"),
    (r"^[\x{e0}-\x{ff}\Wx]+$", "square emoji control"),
    (r"[]\d]", "arabic kanji ascii"),
    (r"[^]\w\s]", "square emoji control ascii"),
    (r"^[\w\-\]\[\\]+$", "accent combining kanji roman circled joiner"),
    (r"[\d-]", "arabic kanji ascii"),
    (r"[[:digit:]\s]", "arabic nbsp tab next kanji ascii"),
    (r"^[[:^alpha:]]+$", "arabic kanji roman circled joiner emoji control"),
    # what only looks like a class
    (r"\\d", "ascii"),
    (r"\[\w\]", "ascii"),
    (r"^\pL\p{M}$", "combining"),
    # code points
    (r"caf\u00e9", "accent"),
    (r"caf\u{e9}", "accent"),
    (r"^\U0001F98A$", "emoji"),
    (r"[\u{1F980}-\u{1F98f}]", "emoji"),
    (r"[\u00e0-\u00ff]", "accent"),
]


def found(pattern):
    matches = patterns.regex(pattern)
    return {name for name, text in DOCUMENTS.items() if matches(text)}


@pytest.mark.parametrize(("pattern", "expected"), EXPECTED)
def test_classes_are_those_of_unicode(pattern, expected):
    assert found(pattern) == set(expected.split())


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [(r"\Q\d\E-\w", "ascii"), (r"\Q\d", "ascii"), (r"[\d-z]{2}", "arabic kanji ascii")],
)
def test_what_chroma_refuses_has_its_meaning_in_re2(pattern, expected):
    assert found(pattern) == set(expected.split())


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (r"\<foo", r"invalid escape sequence: \<"),
        (r"foo\>", r"invalid escape sequence: \>"),
        (r"\b{start}foo", r"invalid escape sequence: \b{s"),
        (r"\C", r"invalid escape sequence: \C"),
        (r"[a-z&&[aeiou]]", "&& in a character class must be escaped"),
        (r"[[a]\d]", "[ in a character class must be escaped"),
        (r"[+--]", "-- in a character class must be escaped"),
        (r"[\w~~_]", "~~ in a character class must be escaped"),
        (r"[!-\d]", "invalid escape sequence"),
        (r"[!-\W]", "invalid escape sequence"),
        (r"\u{110000}", "invalid escape sequence"),
        (r"([\W]", "missing )"),
        (r"a[\d", "missing ]"),
        (r"a[b", "missing ]: [b"),
        (r"\p{Letter}", r"invalid character class range: \p{Letter}"),
        (r"\w{1000}", "pattern too large - compile failed"),
    ],
)
def test_what_is_not_supported_is_an_error(pattern, problem):
    with pytest.raises(InvalidFilterError) as caught:
        patterns.regex(pattern)
    assert caught.value.problem == f"{pattern!r} is no RE2 regular expression: {problem}"


def test_a_word_boundary_is_that_of_ascii():
    r"""RE2 has no other; in Chroma the first two find nothing, and the third two texts."""
    texts = ["naïve", "é1", "é", "a b"]
    assert [[bool(patterns.regex(p)(t)) for t in texts] for p in (r"\bve\b", r"\b1", r"\bé", r"\bb")] == [
        [True, False, False, False],
        [False, True, False, False],
        [False, False, False, False],
        [False, False, False, True],
    ]


# Left out because Python differs from Rust: marks, ² and circled letters in \w, \x1c to \x1f in \s.
CHARACTERS = "aZ7_-é٣東Ⅷ \n\x0b\x85\u00a0\u2028"
ITEMS = [r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", "_", "a-f", "é", "٣", r"\-", "\u00a0"]
CLASS = st.builds(
    lambda negated, items: f"[{'^' * negated}{''.join(items)}]",
    st.booleans(),
    st.lists(st.sampled_from(ITEMS), min_size=1, max_size=3),
)
ATOM = st.sampled_from([*ITEMS[:6], "a", "é", "٣", "Ⅷ", ".", r"(\d|é)", r"(?:\W_)"]) | CLASS
PATTERN = st.builds(
    lambda start, atoms, end: start + "".join(atom + repeated for atom, repeated in atoms) + end,
    st.sampled_from(["", "^", "(?i)", "(?m)^"]),
    st.lists(st.tuples(ATOM, st.sampled_from(["", "", "*", "+", "?", "{2}", "|"])), min_size=1, max_size=4),
    st.sampled_from(["", r"\z"]),
)


@settings(max_examples=500)
@given(PATTERN, st.lists(st.text(CHARACTERS, max_size=6), max_size=12))
def test_a_pattern_finds_what_python_finds(pattern, texts):
    matches, python = patterns.regex(pattern), re.compile(pattern.replace(r"\z", r"\Z"))
    assert [text for text in texts if matches(text)] == [text for text in texts if python.search(text)]
