"""Fusion orders rows by what each ranking gives them, and says what that was."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vicinal
from vicinal._rank import fusion
from vicinal._text import bm25
from vicinal._text.analysis import Analyser, Analysis


def part(**scores):
    return np.array([int(name[1:]) for name in scores]), np.array(list(scores.values()), dtype=float)


def of(fused):
    return dict(zip(fused.rows.tolist(), fused.scores.tolist()))


DENSE, TEXT = part(r4=0.9, r2=0.5, r7=0.1), part(r2=8.0, r9=4.0)


# --- by places ------------------------------------------------------------------------------------------


def test_reciprocal_ranks():
    fused = fusion.reciprocal([DENSE, TEXT])
    assert fused.rows.tolist() == [2, 4, 9, 7]
    assert fused.scores[0] == pytest.approx(1 / 62 + 1 / 61)
    assert fused.contributions[1].tolist() == [pytest.approx(1 / 61), 0.0]


def test_weights():
    fused = fusion.reciprocal([DENSE, TEXT], weights=(0, 2))
    assert fused.rows.tolist() == [2, 9, 4, 7]
    assert fused.scores.tolist() == [2 * (1 / 61), 2 * (1 / 62), 0.0, 0.0]


def test_equal_totals_stand_in_order_of_rows():
    assert fusion.reciprocal([part(r5=1), part(r3=1)]).rows.tolist() == [3, 5]
    nothing = np.zeros(3)
    assert fusion.complementary(np.array([2, 5, 9]), nothing, nothing, None, 0.5).rows.tolist() == [2, 5, 9]


def test_nothing_fused_is_nothing():
    none = np.empty(0)
    assert fusion.reciprocal([]).rows.tolist() == []
    assert fusion.reciprocal([part(), part()]).rows.tolist() == []
    assert fusion.complementary(none.astype(int), none, none, none, 0.5).rows.tolist() == []


# --- by nearness, height and completeness ---------------------------------------------------------------

ROWS = np.array([2, 4, 7, 9])
DISTANCES, SCORES = np.array([0.2, 0.1, 0.5, 0.4]), np.array([8.0, 0.0, 0.0, 4.0])
COMPLETE = np.array([0.25, 0.0, 0.0, 1.0])


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_nearness_height_and_completeness_are_added(alpha):
    fused = fusion.complementary(ROWS, DISTANCES, SCORES, COMPLETE, alpha)
    expected = {
        int(row): alpha / (1 + (distance / 0.3) ** 2)
        + (1 - alpha) * ((1 - alpha) * score / 8 + alpha * complete)
        for row, distance, score, complete in zip(ROWS, DISTANCES, SCORES, COMPLETE)
    }
    assert of(fused) == pytest.approx(expected)
    assert fused.scores.tolist() == sorted(fused.scores, reverse=True)
    assert fused.contributions.sum(axis=1) == pytest.approx(fused.scores)


def test_without_completeness_height_stands_for_the_words():
    fused = fusion.complementary(ROWS, DISTANCES, SCORES, None, 0.5)
    assert fused.contributions[fused.rows.tolist().index(9)].tolist() == pytest.approx([0.18, 0.25])


def test_the_ends_of_alpha_are_the_parts():
    assert fusion.complementary(ROWS, DISTANCES, SCORES, COMPLETE, 1.0).rows.tolist() == [4, 2, 9, 7]
    assert fusion.complementary(ROWS, DISTANCES, SCORES, COMPLETE, 0.0).rows.tolist() == [2, 9, 4, 7]


def test_a_model_whose_cosines_crowd_together_is_mixed_as_any_other():
    crowded = 0.02 * DISTANCES  # cosines from 0.990 to 0.998
    usual, other = (fusion.complementary(ROWS, d, SCORES, COMPLETE, 0.5) for d in (DISTANCES, crowded))
    assert of(usual) == pytest.approx(of(other))


def test_negative_products_count_from_the_lowest():
    fused = fusion.complementary(ROWS, DISTANCES, np.array([-2.0, 0.0, 2.0, -1.0]), None, 0.0)
    assert of(fused) == pytest.approx({7: 1.0, 4: 0.5, 9: 0.25, 2: 0.0})


POSITIVE = st.floats(0, 1e6)


@given(st.lists(st.tuples(POSITIVE, POSITIVE, st.floats(0, 1)), max_size=9), st.floats(0, 1))
def test_totals_lie_between_0_and_1(rows, alpha):
    distances, scores, complete = np.array(rows).reshape(-1, 3).T
    fused = fusion.complementary(np.arange(len(rows)), distances, scores, complete, alpha)
    assert all(0 <= total <= 1 + 1e-9 for total in fused.scores)


def test_what_a_part_lacks_is_measured():
    asked = []
    known = fusion.completed(DENSE, np.array([1, 2, 4, 7, 9]), lambda rows: asked.append(rows) or rows / 100)
    assert known.tolist() == [0.01, 0.5, 0.9, 0.1, 0.09]
    assert asked[0].tolist() == [1, 9]


# --- completeness ---------------------------------------------------------------------------------------

PLAIN = Analyser(Analysis(stemmer=None, stop_words=[]))
WORDS = ["ant", "bee", "cat", "dog"]


def judged(texts, terms, alive=None):
    index = bm25.extend(bm25.empty(), PLAIN, len(texts), enumerate(texts))
    mask = np.ones(len(texts), dtype=bool) if alive is None else np.array(alive)
    return bm25.judged(index, terms, np.flatnonzero(mask), bm25.statistics(index, mask))


@given(
    st.lists(st.tuples(st.lists(st.sampled_from(WORDS), max_size=5), st.booleans()), min_size=1, max_size=9),
    st.lists(st.sampled_from([*WORDS, "eel"]), max_size=5),
)
def test_completeness_follows_the_formula_over_the_live_records(records, asked):
    texts, alive = [" ".join(words) for words, _ in records], [alive for _, alive in records]
    living = [set(words) for words, is_live in records if is_live]
    count = sum(map(bool, living))
    having = {term: sum(term in words for words in living) for term in asked}
    idf = {t: math.log(1 + (count - n + 0.5) / (n + 0.5)) for t, n in having.items() if n}
    times = Counter(term for term in asked if term in idf)
    total = sum(idf[term] * n for term, n in times.items())
    expected = []
    for words in living:
        share = sum(idf[term] * n for term, n in times.items() if term in words) / total if total else 0
        expected.append(share / (1 + times.total() * (1 - share)))
    scores, complete = judged(texts, asked, alive)
    assert complete == pytest.approx(expected)
    assert [score > 0 for score in scores] == [value > 0 for value in complete]


def test_neither_length_nor_repetition_makes_a_record_more_complete():
    _, complete = judged(["ant bee", "ant bee " + "cat " * 50, "ant ant ant ant", "cat"], ["ant", "bee"])
    assert complete.tolist()[:2] == [1.0, 1.0]
    assert complete[2] < 0.5
    assert complete[3] == 0.0


def test_words_that_no_record_has_do_not_count():
    assert judged(["ant", "bee"], ["ant", "eel"])[1].tolist() == [1.0, 0.0]
    assert judged(["ant", "bee"], ["eel"])[1].tolist() == [0.0, 0.0]


# --- in a collection ------------------------------------------------------------------------------------


def test_vectors_of_length_1_are_mixed_alike_in_every_space():
    random = np.random.default_rng(3)
    vectors = random.normal(size=(40, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    documents = [" ".join(random.choice(WORDS, 3)) for _ in vectors]
    given = {"query_embeddings": vectors[:1] + 0.1, "query_texts": "ant dog", "n_results": 40}
    given["query_embeddings"] /= np.linalg.norm(given["query_embeddings"])
    answers = []
    with vicinal.EphemeralClient() as client:
        for space in ("cosine", "l2", "ip"):
            made = client.create_collection(
                f"in-{space}", embedding_function=None, configuration={"hnsw": {"space": space}}
            )
            made.add([str(i) for i in range(40)], vectors, documents=documents)
            found = made.query(**given, mode="hybrid")
            answers.append(dict(zip(found["ids"][0], found["scores"][0])))
    assert answers[1] == pytest.approx(answers[0], abs=1e-5)
    assert answers[2] == pytest.approx(answers[0], abs=1e-5)
