"""A pattern's candidates are few, and no matching text is ever missing among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vicinal._filter import patterns
from vicinal._storage import arrays
from vicinal._text import literals, trigrams

TEXTS = st.lists(st.text("abcABC ſsKkİıiΣσςé٣\u00a0(.|{}[]\\東京", max_size=12), min_size=1, max_size=12)
ATOMS = [
    "a",
    "b",
    "abc",
    "AB",
    "s",
    "k",
    "i",
    "σ",
    "é",
    ".",
    r"\.",
    r"\w",
    "[ab]",
    "[^]a]",
    "(abc|AB)",
    "(?:bc)",
]
ATOMS += [
    "(?i:abc)",
    "[[:alpha:]]",
    r"\Qa.b\E",
    "(?P<n>ab)",
    r"\x61",
    "^",
    "$",
    r"\b",
    "(a|)",
    "(?i:ski)",
    "東",
    r"\d",
    r"\S",
    r"[^\W_]",
    r"[\sé]",
    r"\u00e9",
    r"\u{e9}b",
]
REGEX = st.lists(
    st.tuples(
        st.sampled_from(ATOMS), st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,1}", "*?", "|"])
    ),
    max_size=5,
).map(lambda parts: "".join(atom + suffix for atom, suffix in parts))

# Patterns, each with a text that it matches, or would without its surroundings.
PIECES = [
    *[(text, text) for text in ("a", "abc", "é", "]", "}-", "a{01}")],
    *[("µ", "μ"), (".", "x"), (r"\.", "."), (r"\w", "é"), ("[ab]", "b"), ("[^]a]", "z"), (r"[\]x]", "]")],
    *[(r"\n", "\n"), (r"\Qa.b\E", "a.b"), (r"\x61", "a"), (r"\pL", "é"), ("^", ""), (r"\b", ""), ("()", "")],
]
GROUPS = st.sampled_from(["(", "(?:", "(?P<n>", "(?i:", "(?-i:", "(?s-i:"])
TIMES = st.sampled_from([("*", 0), ("?", 0), ("{0}", 0), ("{0,1}", 0), ("+", 1), ("{1,}?", 1), ("{2}", 2)])
MADE = st.recursive(
    st.sampled_from(PIECES),
    lambda made: st.one_of(
        st.lists(made, min_size=2, max_size=4).map(lambda parts: tuple(map("".join, zip(*parts)))),
        st.tuples(made, made).map(lambda two: (f"{two[0][0]}|{two[1][0]}", two[1][1])),
        st.tuples(GROUPS, made).map(lambda one: (f"{one[0]}{one[1][0]})", one[1][1])),
        st.tuples(made, TIMES).map(lambda one: (f"{one[0][0]}{one[1][0]}", one[0][1] * one[1][1])),
        st.tuples(made, TIMES).map(lambda one: (f"({one[0][0]}){one[1][0]}", one[0][1] * one[1][1])),
    ),
    max_leaves=6,
)


def covering(texts):
    return trigrams.extend(trigrams.EMPTY, len(texts), enumerate(texts))


def lost(texts, requirement, predicate):
    mask = trigrams.candidates(covering(texts), requirement, len(texts))
    return [] if mask is None else [t for t, kept in zip(texts, mask) if predicate(t) and not kept]


@settings(max_examples=300, deadline=None)
@given(TEXTS, REGEX, st.booleans())
def test_no_match_is_ever_lost(texts, pattern, ignore_case):
    pattern = f"(?i){pattern}" if ignore_case else pattern
    try:
        predicate = patterns.regex(pattern)
    except ValueError:
        return
    assert lost(texts, literals.of_regex(pattern), predicate) == []


@settings(max_examples=500)
@given(MADE, st.sampled_from(["", "(?i)", "(?s)", "(?im)"]))
def test_a_text_made_for_a_pattern_is_never_lost(made, flags):
    pattern, text = made
    try:
        predicate = patterns.regex(flags + pattern)
    except ValueError:
        return
    texts = [text, text.swapcase(), f"xyz{text}xyz"]
    assert lost(texts, literals.of_regex(flags + pattern), predicate) == []


@given(st.data(), TEXTS)
def test_a_part_of_a_text_leads_to_it(data, texts):
    text = data.draw(st.sampled_from(texts))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    part = text[start:end]
    assert lost(texts, literals.of_substring(part), patterns.containing(part)) == []


@pytest.mark.parametrize(
    ("pattern", "strings"),
    [
        ("abc", ("abc",)),
        ("ab+cd", ("ab", "bcd")),
        ("ab*cd", ("a", "cd")),
        (r"def test_\w+\(", ("def test_", "(")),
        ("(?i)straße", ("stra", "e")),
        ("(?s)straße", ("straße",)),
        ("(?i)ab(?-i:ß)", ("ab", "ß")),
        ("ab(?i:ß)", ("ab",)),
        ("ab(cd)+ef", ("ab", "ef", "cd")),
        ("ab(cd)?ef", ("ab", "ef")),
        ("ab.^$cd", ("ab", "cd")),
        (r"ab\ncd", ("ab\ncd",)),
        ("abc)def", ()),
        ("abc|def", ()),
        (r"\Qabc\E", ()),
        ("[[:alpha:]]abc", ("abc",)),
    ],
)
def test_what_a_pattern_requires(pattern, strings):
    assert literals.of_regex(pattern).strings == strings


@pytest.mark.parametrize("pattern", ["xa{01}bc", "xa{1,02}bc", "xa{\u0661}bc"])
def test_braces_that_are_no_count_are_text(pattern):
    assert patterns.regex(pattern)(pattern)
    assert lost([pattern], literals.of_regex(pattern), patterns.regex(pattern)) == []


def test_alternatives_require_one_of_them():
    texts = ["see copyfile", "see copytree", "see copymove"]
    mask = trigrams.candidates(covering(texts), literals.of_regex("copy(file|tree)"), 3)
    assert mask.tolist() == [True, True, False]
    assert not literals.of_regex("file|(tree)?")


def test_few_are_candidates():
    texts = [f"record number {n} says hello" for n in range(1000)]
    mask = trigrams.candidates(covering(texts), literals.of_substring("number 777"), 1000)
    assert mask[777]
    assert np.count_nonzero(mask) < 30


def test_rows_that_are_not_covered_are_candidates():
    mask = trigrams.candidates(covering(["abc", "xyz"]), literals.of_substring("abc"), 4)
    assert mask.tolist() == [True, False, True, True]


def test_short_patterns_exclude_nothing():
    assert trigrams.candidates(covering(["abc"]), literals.of_substring("ab"), 1) is None


def test_an_altered_row_forgets_what_it_had():
    old = covering([f"text {n}" for n in range(20)])
    new = trigrams.extend(old, 20, [(3, "something else"), (17, "text 3")])
    wanted = literals.of_substring("text 3")
    assert np.flatnonzero(trigrams.candidates(old, wanted, 20)).tolist() == [3]
    assert np.flatnonzero(trigrams.candidates(new, wanted, 20)).tolist() == [17]


def test_blocks_that_follow_leave_those_before_as_they_are():
    old = trigrams.extend(trigrams.EMPTY, 1, [(0, "text")])
    new = trigrams.extend(old, trigrams.BLOCK_ROWS + 1, [(trigrams.BLOCK_ROWS, "text")])
    found = trigrams.candidates(new, literals.of_substring("text"), new.rows + 1)
    assert np.flatnonzero(found).tolist() == [0, trigrams.BLOCK_ROWS, trigrams.BLOCK_ROWS + 1]
    assert (len(old.blocks), len(new.blocks)) == (1, 2)


def test_saved_signatures_give_the_same_candidates(tmp_path):
    index = covering(["abc", "xyz"])
    arrays.write(tmp_path / "signatures", trigrams.pack(index))
    loaded = trigrams.unpack(arrays.read(tmp_path / "signatures"))
    assert trigrams.candidates(loaded, literals.of_substring("xyz"), 2).tolist() == [False, True]
