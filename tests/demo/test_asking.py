"""Both frameworks answer the shown questions, and a filter or MMR makes the answers better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from demo import library
from demo.asking import Answer, Asker, as_metadata_filters, as_where
from demo.display import different
from demo.evaluate import rank_in
from demo.questions import LANGCHAIN, LANGUAGE, LLAMA_INDEX, SHOWN, Condition, Question, parse_condition
from demo.reader import NOTHING

import vicinal

FRAMEWORKS = (LANGCHAIN, LLAMA_INDEX)
MERGE = "How do I merge several sorted inputs into one?"


def rank_of(answer: Answer) -> int | None:
    return rank_in([entry.id for entry in answer.found], answer.question.entries)


def test_at_least_eight_questions_are_shown_through_both_frameworks() -> None:
    assert len(SHOWN) >= 8
    for framework in FRAMEWORKS:
        manners = {(bool(q.filter), q.mmr is not None) for q in SHOWN if q.framework == framework}
        assert {(False, False), (True, False), (True, True)} <= manners


@pytest.mark.parametrize("question", SHOWN, ids=lambda q: q.text)
def test_every_shown_question_is_answered_from_an_entry_that_answers(
    asker: Asker, question: Question
) -> None:
    answer = asker.ask(question)
    assert rank_of(answer) is not None
    assert answer.text != NOTHING
    assert answer.sources
    assert answer.search_s > 0
    assert answer.answer_s > 0


@pytest.mark.parametrize("question", [q for q in SHOWN if q.filter and q.mmr is None], ids=lambda q: q.text)
def test_every_shown_filter_brings_the_answer_nearer(asker: Asker, question: Question) -> None:
    with_filter, without = rank_of(asker.ask(question)), rank_of(asker.ask(question._replace(filter=())))
    assert with_filter is not None
    assert without is None or with_filter < without


@pytest.mark.parametrize("question", [q for q in SHOWN if q.mmr is not None], ids=lambda q: q.text)
def test_every_shown_mmr_says_more_with_as_many_entries(asker: Asker, question: Question) -> None:
    diverse, plain = asker.ask(question), asker.ask(question._replace(mmr=None))
    assert different(diverse.found) > different(plain.found) or rank_of(plain) is None


@pytest.mark.parametrize("mmr", [None, 0.75])
@pytest.mark.parametrize("filter", [(), (LANGUAGE,), (Condition("lines", "<=", 9),)], ids=str)
def test_both_frameworks_find_the_same(
    asker: Asker, filter: tuple[Condition, ...], mmr: float | None
) -> None:
    one, other = (asker.ask(Question(MERGE, framework, filter, mmr)) for framework in FRAMEWORKS)
    assert [entry.id for entry in one.found] == [entry.id for entry in other.found]
    assert [e.score for e in one.found] == pytest.approx([e.score for e in other.found], abs=1e-4)
    assert one.text == other.text


@pytest.mark.parametrize(
    ("lines", "k"),
    [(["word " * 120] * 80, 81), (["word " * 12_000], 5)],
)
def test_both_frameworks_answer_from_more_than_a_model_could_read(
    tmp_path: Path, asker: Asker, lines: list[str], k: int
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number, line in enumerate(["The tomatoes are watered at night.", *lines]):
        (notes / f"{number}.txt").write_text(line)
    with vicinal.PersistentClient(tmp_path / "data") as client:
        notes_asker = replace(asker, collection=library.open_folder(client, notes).collection)
        questions = [Question("When are the tomatoes watered?", framework) for framework in FRAMEWORKS]
        one, other = (notes_asker.ask(question, k) for question in questions)
    assert "tomatoes are watered at night" in one.text
    assert one.text == other.text


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_scores_are_cosines_nearest_first(asker: Asker, framework) -> None:
    scores = [entry.score for entry in asker.ask(Question(MERGE, framework)).found]
    assert scores == sorted(scores, reverse=True)
    assert 0.6 < scores[0] <= 1


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_filter_is_respected(asker: Asker, framework) -> None:
    conditions = (Condition("package", "in", ("heapq", "bisect")), Condition("kind", "!=", "module"))
    found = asker.ask(Question(MERGE, framework, conditions), k=10).found
    assert {entry.metadata["package"] for entry in found} == {"heapq", "bisect"}
    assert "module" not in {entry.metadata["kind"] for entry in found}
    assert len(found) == 10


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_filter_that_nothing_passes_finds_nothing(asker: Asker, framework) -> None:
    answer = asker.ask(Question(MERGE, framework, (Condition("package", "==", "no such"),)))
    assert (answer.found, answer.sources) == ((), [])


def test_the_query_engine_answers_by_itself(asker: Asker) -> None:
    response = asker.query_engine(Question(MERGE, LLAMA_INDEX)).query(MERGE)
    assert "Merge multiple sorted inputs" in str(response)
    assert "=== [1] heapq.merge(*iterables, key=None, reverse=False) ===" in response.source_nodes[0].text


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    "text", ["What does {x!r} mean?", "Why [1] and %s?", "Question: what?\nAnswer:", "¿λ?"]
)
def test_any_text_can_be_asked(asker: Asker, framework, text: str) -> None:
    assert len(asker.ask(Question(text, framework)).found) == 5


def test_sources_are_the_cited_entries(asker: Asker) -> None:
    answer = asker.ask(Question(MERGE))
    assert [(number, entry.id) for number, entry in answer.sources] == [(1, "heapq.merge")]


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("kind=topic", Condition("kind", "==", "topic")),
        ("kind == topic", Condition("kind", "==", "topic")),
        ("package=json, csv", Condition("package", "in", ("json", "csv"))),
        ("kind!=module", Condition("kind", "!=", "module")),
        ("lines<=20", Condition("lines", "<=", 20)),
        ("lines>=3", Condition("lines", ">=", 3)),
        ("lines<=-5", Condition("lines", "<=", -5)),
        ("lines=5, 6", Condition("lines", "in", (5, 6))),
        ("package=2024", Condition("package", "==", "2024")),
        ("package=2024,2025", Condition("package", "in", ("2024", "2025"))),
    ],
)
def test_conditions_are_read_from_the_command_line(text: str, condition: Condition) -> None:
    assert parse_condition(text) == condition


@pytest.mark.parametrize("text", ["", "kind", "=topic", "kind=", "lines<20"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected KEY=VALUE"):
        parse_condition(text)


def test_no_condition_is_no_filter() -> None:
    assert as_where(()) is None
    assert as_metadata_filters(()) is None
