"""Words are found as prose and code write them, and shown where they stand."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal._text.analysis import Analyser, Analysis, register_analysis, s_stem
from vicinal._text.snippets import snippets
from vicinal._text.stop_words import ENGLISH
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

DEFAULT = Analyser()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The nozzles of a Queen", ["nozzle", "queen"]),
        ("call copy_file2 now", ["call", "copy_file2", "copy", "file", "2", "now"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("DataFrame.groupBy", ["dataframe", "data", "frame", "groupby", "group"]),
        ("__init__", ["__init__", "init"]),
        ("ﬁle Ｆｕｌｌ STRASSE straße", ["file", "full", "strasse", "strasse"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("猫 and Tokyo東京", ["猫", "tokyo", "東京"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("don't", []),
        ("", []),
    ],
)
def test_default_tokens(text, tokens):
    found = DEFAULT.tokens(text)
    assert [token for token in tokens if token != "now"] == [token for token in found if token != "now"]


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("queries", "query"),
        ("horses", "horse"),
        ("glass", "glass"),
        ("virus", "virus"),
        ("cats", "cat"),
        ("goes", "goes"),
        ("is", "is"),
        ("eies", "eies"),
    ],
)
def test_the_s_stemmer_follows_its_table(word, stem):
    assert s_stem(word) == stem


@given(st.text(st.characters(max_codepoint=127)))
def test_the_words_of_ascii_are_runs_of_letters_digits_and_underscores(text):
    assert DEFAULT.words(text) == re.findall(r"\w+", text)


@given(st.from_regex(r"[a-c]{0,3}[A-C]{0,2}[a-cS0_]{1,4}|the|The|THE|cats|Cats|CATS", fullmatch=True))
def test_the_terms_of_a_word_follow_the_rule(word):
    """Whole and in parts when it has parts; each part stemmed, unless it is a stop word."""
    in_humps = not word.islower() and not word.isupper()
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+" if in_humps else r"[^\d_]+|\d+", word)
    whole = [] if parts in ([], [word]) else [word.lower()]
    kept = parts or [word]
    terms = whole + [s_stem(part.lower()) for part in kept if part.lower() not in ENGLISH]
    assert DEFAULT.cut(word) == DEFAULT.terms(word) == tuple(terms)


def test_snowball_languages_stem():
    pytest.importorskip("snowballstemmer")
    german = Analyser(Analysis(language="german", stemmer="snowball"))
    assert german.tokens("Häuser") == german.tokens("Hause")
    with pytest.raises(InvalidArgumentError, match="klingon"):
        Analyser(Analysis(language="klingon", stemmer="snowball"))
    with pytest.raises(InvalidArgumentError, match="English only"):
        Analyser(Analysis(language="german"))


@pytest.mark.parametrize("given", [None, 5, "terms", b"terms", ["a", None], iter([1])])
def test_a_function_that_gives_no_terms_is_named(given):
    register_analysis("test-strange", lambda text: given)
    with pytest.raises(ArgumentTypeError, match="the analysis 'test-strange' gives to be a list of terms"):
        Analyser(Analysis(function="test-strange")).tokens("text")


def test_a_registered_function_replaces_the_analysis():
    register_analysis("test-lines", str.splitlines)
    analyser = Analyser(Analysis(function="test-lines"))
    assert analyser.tokens("The one\nthe two") == ["The one", "the two"]
    assert [(s.start, s.end) for s in analyser.spans("The one\nthe two")] == [(0, 7), (8, 15)]
    with pytest.raises(InvalidArgumentError, match="register_analysis"):
        Analyser(Analysis(function="nobody"))


@pytest.mark.parametrize(("name", "function"), [(5, str.split), (5, None), (None, None), ("test-five", 5)])
def test_only_a_function_is_registered_and_only_by_a_name(name, function):
    with pytest.raises(ArgumentTypeError):
        register_analysis(name, function)


def test_a_decorator_needs_the_name():
    with pytest.raises(ArgumentTypeError, match='as in @register_analysis\\("name"\\)'):

        @register_analysis
        def words(text):
            return text.split()


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("İzmir Ankara", ["İzmir", "Ankara"]),
        ("Ankara İİ ΟΔΟΣ İ", ["Ankara", "İİ", "ΟΔΟΣ", "İ"]),
        ("no such letter", ["no", "such", "letter"]),
    ],
)
def test_terms_are_found_again_though_lowering_lengthens_a_letter(text, places):
    register_analysis("test-lowered", lambda text: text.lower().split())
    for function in ("test-lowered", "test-as-it-is"):
        register_analysis("test-as-it-is", str.split)
        spans = list(Analyser(Analysis(function=function)).spans(text))
        assert [text[span.start : span.end] for span in spans] == places


@given(st.text("İIiΣσς\u0307ßa \n"), st.booleans())
def test_terms_of_a_function_lie_in_order_inside_the_text(text, lowers):
    register_analysis("test-lowered", lambda text: (text.lower() if lowers else text).split())
    spans = list(Analyser(Analysis(function="test-lowered")).spans(text))
    assert [text[span.start : span.end] for span in spans] == text.split()
    assert all(0 <= span.start < span.end <= len(text) for span in spans)


def test_one_letter_does_not_take_the_snippets_of_a_text(client):
    register_analysis("test-lowered", lambda text: text.lower().split())
    configuration = {"text": {"function": "test-lowered"}}
    made = client.create_collection("hotels", embedding_function=None, configuration=configuration)
    made.add(["a", "b"], [[1], [2]], documents=["Bodrum Ankara hotel", "İzmir Ankara hotel"])
    found = made.query(query_texts="Ankara", mode="text", snippets=1)
    shown = [
        snippet.text[start - snippet.start : end - snippet.start]
        for snippets in found["snippets"][0]
        for snippet in snippets
        for start, end in snippet.highlights
    ]
    assert (found["ids"], shown) == ([["a", "b"]], ["Ankara"] * 2)


UNSPACED = st.text(
    "\u3099\u309a\u309b\uff9e\uff9f\uff76\u304b\u30ff\u0e33\u0e38\u0e48\u1025\u102e\u1037\u4e00 a", max_size=8
)


@given(st.text() | UNSPACED)
def test_spans_hold_the_same_terms_inside_the_text(text):
    spans = list(DEFAULT.spans(text))
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert DEFAULT.tokens(text) == [term for span in spans for term in span.terms]


@pytest.mark.parametrize(
    ("text", "question", "marked"),
    [
        ("\uff76\uff9e\uff97\uff7d の 窓", "ガラス", ["\uff76\uff9e\uff97", "\uff97\uff7d"]),
        ("か\u3099す の ねだん", "がす", ["か\u3099す"]),
        ("高か\u3099す", "がす", ["か\u3099す"]),
        ("ヿ", "コト", ["ヿ"]),
    ],
)
def test_kana_are_marked_whole_however_they_are_written(text, question, marked):
    [found] = snippets(DEFAULT, text, DEFAULT.tokens(question))
    assert [text[start:end] for start, end in found.highlights] == marked


DOCUMENT = (
    "Files are copied by shutil. " + "Nothing of interest stands here. " * 10 + "A copy keeps its metadata. "
)


def test_the_best_snippet_has_most_of_the_question():
    first, *_ = snippets(DEFAULT, DOCUMENT, DEFAULT.tokens("copy metadata"), chars=60)
    assert "A copy keeps its metadata" in first.text
    assert [DOCUMENT[a:b] for a, b in first.highlights] == ["copy", "metadata"]
    assert DOCUMENT[first.start : first.end] == first.text


def test_snippets_do_not_overlap_and_words_are_matched_by_their_stems():
    found = snippets(DEFAULT, DOCUMENT, DEFAULT.tokens("file interest"), count=3, chars=40)
    assert len(found) == 3
    ordered = sorted(found, key=lambda snippet: snippet.start)
    assert all(a.end <= b.start for a, b in pairwise(ordered))
    assert any(DOCUMENT[a:b] == "Files" for snippet in found for a, b in snippet.highlights)


FAUNA = "ant bee " + "x " * 40 + "ant ant ants " + "x " * 40 + "copy_bee of it"


@pytest.mark.parametrize(
    ("terms", "shown"),
    [
        (
            ["ant", "bee"],
            [("ant bee x x x", 2.0), ("x x ant ant ants x x", 1.2), ("x x x copy_bee of it", 1.0)],
        ),
        (["bee", "copy"], [("x x x copy_bee of it", 2.0), ("ant bee x x x x", 1.0)]),
    ],
)
def test_the_best_fragments_come_first(terms, shown):
    """A window is worth 1 for each term in it, and a tenth for each repetition."""
    found = snippets(DEFAULT, FAUNA, terms, count=len(shown), chars=20)
    assert [(snippet.text, pytest.approx(snippet.score)) for snippet in found] == shown
    marked = [[FAUNA[start:end] for start, end in snippet.highlights] for snippet in found]
    assert marked == [re.findall(rf"\S*(?:{'|'.join(terms)})\S*", text) for text, _ in shown]


@pytest.mark.parametrize(
    ("text", "terms", "chars", "shown"),
    [
        ("ant bee ants", ["ant", "bee"], 0, ["ant", "bee", "ants"]),
        ("ant bee ants", ["ant", "bee"], 11, ["ant bee", "ants"]),
        ("ant bee ants", ["ant", "bee"], 12, ["ant bee ants"]),
        ("x ant x bee x", ["ant", "bee"], 7, ["x ant x", "bee x"]),
        ("x ant x copy_bee x", ["ant", "bee", "copy"], 12, ["x copy_bee x", "x ant"]),
    ],
)
def test_a_fragment_is_widened_to_words_that_no_other_has(text, terms, chars, shown):
    assert [snippet.text for snippet in snippets(DEFAULT, text, terms, chars=chars)] == shown


def test_a_question_without_a_match_has_no_snippets():
    assert snippets(DEFAULT, DOCUMENT, ["absent"]) == []
