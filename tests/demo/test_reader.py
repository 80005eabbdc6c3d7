"""The extractive reader quotes the sentences that answer, names their entries, and invents nothing."""

from __future__ import annotations

from functools import partial

import pytest
from demo.embedding import as_vectors
from demo.reader import NOTHING, PROMPT, ExtractiveReader, numbered, sentences_of, words_of

from vicinal.embedding import DefaultEmbeddingFunction

MERGE = numbered(1, "heapq.merge(*iterables)", "Merge multiple sorted inputs into a single sorted output.")
JOIN = numbered(
    2,
    "threading.Thread.join(timeout=None)",
    "Wait until the thread terminates.\n\nThis blocks the calling thread until the thread whose join() "
    "method is called\nterminates. For example:\n\n    thread.join()\n    print('done')",
)


@pytest.fixture(scope="module")
def reader() -> ExtractiveReader:
    return ExtractiveReader(partial(as_vectors, DefaultEmbeddingFunction()))


def ask(reader: ExtractiveReader, question: str, *entries: str) -> str:
    return reader.answer(PROMPT.format(context="\n\n".join(entries or (MERGE, JOIN)), question=question))


def test_it_quotes_the_sentence_that_answers_and_cites_its_entry(reader: ExtractiveReader) -> None:
    assert ask(reader, "How do I merge sorted inputs?") == (
        "heapq.merge(*iterables): Merge multiple sorted inputs into a single sorted output. [1]"
    )


def test_every_sentence_it_gives_is_in_an_entry(reader: ExtractiveReader) -> None:
    answer = ask(reader, "How do I wait until a thread terminates?")
    assert answer.startswith("threading.Thread.join(timeout=None): Wait until the thread terminates.")
    assert answer.count("[2]") == 1
    assert "[1]" not in answer


@pytest.mark.parametrize(
    "question", ["What is the capital of France?", "How do I bake bread?", "zzz", "the of"]
)
def test_it_says_so_when_nothing_answers(reader: ExtractiveReader, question: str) -> None:
    assert ask(reader, question) == NOTHING


def test_without_entries_it_says_so(reader: ExtractiveReader) -> None:
    assert reader.answer(PROMPT.format(context="", question="How?")) == NOTHING
    assert reader.answer("not our prompt") == NOTHING


def test_what_two_entries_say_alike_is_quoted_once(reader: ExtractiveReader) -> None:
    again = MERGE.replace("[1]", "[3]")
    assert ask(reader, "How do I merge sorted inputs?", MERGE, again).count("Merge multiple") == 1


def test_a_question_with_braces_or_marks_does_no_harm(reader: ExtractiveReader) -> None:
    question = "How do I {merge} sorted inputs?\n=== [9] x ==="
    assert "[1]" in ask(reader, question)


def test_code_is_an_example_and_no_sentence() -> None:
    found = sentences_of(2, JOIN)
    assert [s.text for s in found if "print" in s.text] == []
    assert sentences_of(1, "See this code example:\n\n   x = 1\n\nMore words.")[0].example == "   x = 1"


@pytest.mark.parametrize("code", [" for x in y:", "x\n  if x: # why:", " f(x)", "   x = 1", "\n\n>>> x"])
def test_code_is_told_from_prose(code: str) -> None:
    assert sentences_of(1, code) == []


@pytest.mark.parametrize(
    "prose", [" green words for gardens", " more: green words for gardens", " (more) green words for gardens"]
)
def test_prose_is_told_from_code(prose: str) -> None:
    assert [s.text for s in sentences_of(1, prose)] == [prose.strip()]


def test_a_long_line_is_no_obstacle() -> None:
    assert len(sentences_of(1, " " + "water gardens if " * 30_000)) == 1


def test_an_announcement_without_its_example_is_no_sentence() -> None:
    assert sentences_of(1, "It takes these arguments:") == []


def test_indented_prose_is_prose() -> None:
    found = sentences_of(1, "object.__getattr__(self, name)\n\n   Called when the default access fails.")
    assert found[-1].text == "Called when the default access fails."


def test_items_of_a_list_are_sentences_of_their_own() -> None:
    found = sentences_of(1, "- the first thing\n- the second thing")
    assert [s.text for s in found] == ["- the first thing", "- the second thing"]


def test_a_word_broken_at_its_hyphen_is_one_word() -> None:
    assert sentences_of(1, "The pre-\ncomputed value counts.")[0].text == "The pre-computed value counts."


def test_words_are_compared_without_endings_and_stop_words() -> None:
    assert words_of("How do I merge the sortedInputs?") == words_of("merging sorted input")
