"""Of the questions that users ask, most find an entry that answers among the first five."""

from __future__ import annotations

import pytest
from demo.entries import Entry
from demo.evaluate import evaluate, rank_in
from demo.pairs import PAIRS

import vicinal

# Measured: 0.71 on Python 3.10 and 3.12, 0.73 on 3.11, 0.76 on 3.13. Room is left for three questions.
FLOOR = 0.65


def test_hit_at_5(collection: vicinal.Collection, capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluate(collection, k=5)
    with capsys.disabled():
        print(f"\n  demo: {found}")
    assert found.share >= FLOOR


def test_there_are_at_least_30_pairs_and_no_question_twice() -> None:
    assert len({pair.question for pair in PAIRS}) == len(PAIRS) >= 30


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.question)
def test_every_question_has_an_entry_that_answers(entries: list[Entry], pair) -> None:
    assert rank_in([entry.id for entry in entries], pair.entries) is not None


def test_a_rank_counts_from_one_and_ignores_the_chunk() -> None:
    assert rank_in(["a.b", "help/x/y#3"], ["help/*/y"]) == 2
    assert rank_in(["a.b"], ["a.c"]) is None
