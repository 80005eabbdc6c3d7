"""Every difference that the comparison with Chroma allows is explained where a user looks for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.chroma.differences import DIFFERENCES, Call, Difference, Outcome, catches, explained
from tests.chroma.left_out import LEFT_OUT

from vicinal import errors

PAGE = (Path(__file__).parents[2] / "docs" / "chroma-compatibility.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda one: one.reason)
def test_it_has_its_heading_on_the_page(difference: Difference) -> None:
    assert difference.title in re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)


def test_two_answers_that_differ_for_no_reason_are_not_allowed() -> None:
    assert explained(Call("get", {"where": {"k": 1}}), Outcome({"ids": ["a"]}), Outcome({"ids": []})) is None


def test_an_error_in_place_of_an_answer_is_not_allowed() -> None:
    call = Call("query", {"query_embeddings": [[1.0]], "where": {"k": 1.5}})
    assert explained(call, Outcome({"ids": [["a"]]}), Outcome(error=ValueError("no"))) is None


def test_an_error_of_another_kind_is_not_caught_by_those_who_catch_chromas() -> None:
    assert not catches(TypeError(), errors.InvalidArgumentError("x"))
    assert not catches(ValueError(), ValueError())
    assert catches(ValueError(), errors.InvalidArgumentError("x"))


def test_whatever_is_left_out_of_chromas_tests_has_a_reason_and_is_named_once() -> None:
    patterns = [pattern for group in LEFT_OUT.values() for pattern in group]
    assert len(patterns) == len(set(patterns))
    assert all(len(reason) > 20 for reason in LEFT_OUT)
