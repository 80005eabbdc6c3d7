"""Text search ranks by BM25 over the records that are there now, whatever happened before."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine import formulas

from vicinal._storage import arrays
from vicinal._text import bm25, postings, sparse, vocabulary
from vicinal._text.analysis import Analyser, Analysis

PLAIN = Analyser(Analysis(language=None, stemmer=None, split_identifiers=False))
WORDS = st.lists(st.sampled_from(["ant", "bee", "cat", "dog", "eel"]), max_size=6).map(" ".join)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(WORDS, min_size=1, max_size=4)),
        st.tuples(st.just("alter"), st.integers(0, 30), st.none() | WORDS),
        st.tuples(st.just("remove"), st.integers(0, 30)),
        st.tuples(st.just("merge")),
    ),
    max_size=12,
)


def reference(texts, alive, terms, k, allowed=None):
    """The best rows among those that are alive and allowed, and their scores."""
    living = {row: text for row, text in texts.items() if alive[row]}
    scores = formulas.bm25(living, " ".join(terms))
    ranked = sorted((-score, row) for row, score in scores.items() if allowed is None or allowed[row])
    return [(row, -score) for score, row in ranked[:k]]


def made(texts, analyser=PLAIN):
    return bm25.extend(bm25.empty(), analyser, len(texts), enumerate(texts))


@settings(max_examples=150, deadline=None)
@given(
    STEPS,
    st.lists(st.sampled_from(["ant", "bee", "cat", "dog", "fly"]), max_size=4),
    st.integers(1, 6),
    st.data(),
)
def test_any_history_ranks_as_the_formula_over_the_live_records(steps, terms, k, data):
    index, texts, alive = bm25.empty(), {}, []
    for kind, *step in steps:
        if kind == "add":
            new = dict(enumerate(step[0], start=len(alive)))
            texts |= new
            alive += [True] * len(new)
            index = bm25.extend(index, PLAIN, len(alive), new.items())
        elif kind == "merge":
            index = bm25.merged(index, np.array(alive, dtype=bool))
        elif alive and kind == "remove":
            alive[step[0] % len(alive)] = False
        elif alive and alive[step[0] % len(alive)]:
            row, text = step[0] % len(alive), step[1]
            texts[row] = text or ""
            given, gone = ([], [row]) if text is None else ([(row, text)], [])
            index = bm25.extend(index, PLAIN, len(alive), given, np.array(gone, dtype=np.int64))
    mask = np.array(alive, dtype=bool)
    allowed = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(alive), max_size=len(alive))), dtype=bool
    )
    stats = bm25.statistics(index, mask)
    for permitted in (None, allowed):
        rows, scores = bm25.search(index, terms, k, stats, permitted)
        expected = reference(texts, alive, terms, k, permitted)
        np.testing.assert_allclose(scores, [score for _, score in expected], rtol=1e-9)
        assert sorted(rows) == sorted(row for row, _ in expected) or len(set(scores.round(9))) < len(scores)


def test_pruning_changes_no_result():
    random = np.random.default_rng(7)
    words = [f"w{i}" for i in range(200)]
    shares = 1 / np.arange(1, 201)
    texts = [" ".join(random.choice(words, 30, p=shares / shares.sum())) for _ in range(3000)]
    index, alive = made(texts), random.random(3000) < 0.8
    stats = bm25.statistics(index, alive)
    questions = ["w0", "w150"], ["w1", "w1", "w99", "w199"], ["w0", "w1", "w2", "w60", "w180"]
    without_the_rare = np.array(["w150" not in text.split() for text in texts])
    masks = None, random.random(3000) < 0.3, without_the_rare
    for question, allowed in itertools.product(questions, masks):
        expected = reference(dict(enumerate(texts)), alive, question, 10, allowed)
        rows, scores = bm25.search(index, question, 10, stats, allowed)
        assert [row for row, _ in expected] == rows.tolist()
        np.testing.assert_allclose(scores, [score for _, score in expected])


def test_an_altered_row_loses_its_old_terms():
    index = made(["ant bee", "bee cat"])
    index = bm25.extend(index, PLAIN, 2, [(0, "dog")])
    stats = bm25.statistics(index, np.ones(2, dtype=bool))
    assert bm25.search(index, ["ant"], 5, stats)[0].tolist() == []
    assert bm25.search(index, ["dog", "bee"], 5, stats)[0].tolist() == [0, 1]


def test_an_index_that_remembers_few_words_ranks_alike(monkeypatch):
    monkeypatch.setattr(vocabulary, "_REMEMBERED", 3)
    texts = {row: f"ant bee w{row} w{row % 7} cat" for row in range(1200)}  # more than a batch
    index = bm25.extend(bm25.empty(), PLAIN, 600, list(texts.items())[:600])
    index = bm25.extend(index, PLAIN, 1200, list(texts.items())[600:])
    alive = np.ones(1200, dtype=bool)
    rows, scores = bm25.search(index, ["w3", "w901"], 5, bm25.statistics(index, alive))
    expected = reference(texts, alive, ["w3", "w901"], 5)
    assert list(zip(rows.tolist(), scores.tolist())) == [(row, pytest.approx(s)) for row, s in expected]


def test_words_are_cut_by_the_analyser_that_is_given():
    index = bm25.extend(bm25.empty(), PLAIN, 1, [(0, "ants")])
    index = bm25.extend(index, Analyser(), 2, [(1, "ants")])
    stats = bm25.statistics(index, np.ones(2, dtype=bool))
    assert [bm25.search(index, [term], 5, stats)[0].tolist() for term in ("ants", "ant")] == [[0], [1]]


def test_equal_scores_stand_in_order_of_rows():
    index = made(["ant", "ant", "bee", "ant"])
    rows, _ = bm25.search(index, ["ant"], 2, bm25.statistics(index, np.ones(4, dtype=bool)))
    assert rows.tolist() == [0, 1]


@pytest.mark.parametrize("altered", [[], [(0, "ant cat bee")]])
def test_given_rows_score_as_in_the_search(altered):
    index = made(["ant bee", "bee cat cat", "dog", "ant cat"])
    index = bm25.extend(index, PLAIN, 4, altered)  # rows of a term then stand in no order
    stats = bm25.statistics(index, np.ones(4, dtype=bool))
    rows, scores = bm25.search(index, ["cat", "ant"], 9, stats)
    np.testing.assert_allclose(bm25.judged(index, ["cat", "ant"], rows, stats)[0], scores)
    assert bm25.judged(index, ["cat"], np.array([2]), stats)[0].tolist() == [0.0]


def test_nothing_says_more_than_the_whole_question():
    """Python's sum of what terms weigh, exact since 3.12, may be less than the sum of them one by one."""
    letters = [chr(97 + i) * 2 for i in range(26)]
    texts = [" ".join(letters), *(" ".join(letters[:n]) for n in range(1, 26))]
    index = made(texts)
    stats = bm25.statistics(index, np.ones(len(texts), dtype=np.bool_))
    for first, last in itertools.combinations(range(27), 2):
        _, shares = bm25.judged(index, letters[first:last], np.array([0]), stats)
        assert shares.tolist() == pytest.approx([1.0])
        assert shares[0] <= 1.0


def test_a_saved_index_answers_as_before(tmp_path):
    index = bm25.extend(made(["ant é bee", "bee cat"]), PLAIN, 3, [(0, "cat"), (2, "東京 ant")])
    arrays.write(tmp_path / "text", bm25.pack(index))
    loaded = bm25.unpack(arrays.read(tmp_path / "text"))
    stats = bm25.statistics(index, np.ones(3, dtype=bool))
    for term in ("ant", "cat", "東京"):
        before, after = bm25.search(index, [term], 5, stats), bm25.search(loaded, [term], 5, stats)
        assert before[0].tolist() == after[0].tolist()
    assert bm25.extend(loaded, PLAIN, 4, [(3, "ant")]).rows == 4


@pytest.mark.parametrize("damage", [lambda data: data[:50], lambda data: b"", lambda data: b"x" * 200])
def test_a_damaged_file_is_a_value_error(tmp_path, damage):
    arrays.write(tmp_path / "text", bm25.pack(made(["ant"])))
    (tmp_path / "text").write_bytes(damage((tmp_path / "text").read_bytes()))
    with pytest.raises(ValueError):
        bm25.unpack(arrays.read(tmp_path / "text"))


def test_merging_keeps_segments_few_and_leaves_the_dead_behind():
    index = bm25.empty()
    for row in range(200):
        index = bm25.merged(bm25.extend(index, PLAIN, row + 1, [(row, "ant bee")]))
    assert len(index.postings.segments) <= 6
    assert not postings.is_due(index.postings)
    index = bm25.extend(index, PLAIN, 400, [(row, "ant bee") for row in range(200, 400)])
    assert len(bm25.merged(index, np.arange(400) % 2 == 0).postings.segments[0]) == 400


def test_segments_stay_few_where_nobody_merges_them():
    """As in a small collection, of which each question takes in what was written since the last one."""
    index, texts = made([f"ant{row}" for row in range(20)]), {row: f"ant{row}" for row in range(20)}
    for number in range(200):  # new rows and altered ones in turns
        row = 20 + number // 2 if number % 2 else number % 20
        texts[row] = f"ant bee{number}"
        index = bm25.extend(index, PLAIN, max(row + 1, index.rows), [(row, texts[row])])
        assert len(index.postings.segments) <= 32
    alive = np.ones(index.rows, dtype=bool)
    found = bm25.search(index, ["ant", "bee199"], 200, bm25.statistics(index, alive))
    expected = reference(texts, alive, ["ant", "bee199"], 200)
    assert [row for row, _ in expected] == found[0].tolist()


def test_words_that_nobody_says_any_more_are_forgotten():
    index, texts = made([f"ant bee{row}" for row in range(9)]), {row: f"ant bee{row}" for row in range(9)}
    for number in range(400):  # a row that tells ever new words
        texts[3] = " ".join(["ant", *(f"n{number}w{word}" for word in range(10))])
        index = bm25.extend(index, PLAIN, 9, [(3, texts[3])])
    assert len(index.vocabulary.terms) < 2_500
    alive = np.ones(9, dtype=bool)
    for terms in (["ant"], ["n399w9", "bee7"], ["n398w9", "bee3"]):
        found, _ = bm25.search(index, terms, 9, bm25.statistics(index, alive))
        assert found.tolist() == [row for row, _ in reference(texts, alive, terms, 9)]


def test_altered_rows_without_entries_are_nowhere():
    index = bm25.extend(made(["ant", "bee", "cat"]), PLAIN, 3, [(0, "dog"), (1, "")])
    assert (index.postings.home >= 0).tolist() == [True, False, True]


# --- sparse -----------------------------------------------------------------------------------------------

VECTORS = st.dictionaries(st.sampled_from([0, 3, 7, 2**31, 2**40]), st.integers(-3, 3).map(float), max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(VECTORS, max_size=8), VECTORS, st.integers(1, 9), st.data())
def test_sparse_search_is_the_largest_dot_product(vectors, question, k, data):
    alive = np.array([data.draw(st.booleans()) for _ in vectors], dtype=bool)
    given_vectors = [(row, list(v), list(v.values())) for row, v in enumerate(vectors)]
    half = len(vectors) // 2
    index = sparse.extend(postings.EMPTY, half, given_vectors[:half])
    index = postings.merged(sparse.extend(index, len(vectors), given_vectors[half:]))
    rows, scores = sparse.search(index, list(question), list(question.values()), k, alive)
    dots = {row: sum(v[i] * question[i] for i in v.keys() & question) for row, v in enumerate(vectors)}
    sharing = [row for row, v in enumerate(vectors) if alive[row] and v.keys() & question]
    expected = sorted(sharing, key=lambda row: (-dots[row], row))[:k]
    assert rows.tolist() == expected
    assert scores.tolist() == [dots[row] for row in expected]
    everyone = np.arange(len(vectors))
    given_rows = sparse.score(index, list(question), list(question.values()), everyone, alive)
    assert given_rows.tolist() == [dots[row] for row in everyone]
    weighted = sparse.score(index, list(question), list(question.values()), rows, alive, idf=True)
    found = dict(zip(*sparse.search(index, list(question), list(question.values()), 9, alive, idf=True)))
    assert weighted.tolist() == pytest.approx([found[row] for row in rows])
