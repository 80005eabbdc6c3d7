"""The benchmark runs from text to page, and judges answers by distance under the filter."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
from bench.__main__ import main
from bench.corpus import Corpus
from bench.filters import ALL, Filter, numbers_of, parse
from bench.truth import Truth
from bench.turns import order


def test_a_small_run_writes_results_a_page_and_a_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.json"
    sizes = ["--rows=300", "--queries=20", "--rounds=1", "--seconds=0", "--engines=vicinal,hnswlib"]
    main([*sizes, f"--cache={tmp_path / 'cache'}", f"--output={output}"])
    results = json.loads(output.read_text())
    recalls = [turn["recall"] for turn in results["turns"] if turn["engine"] == "vicinal" and turn["case"]]
    assert recalls == [1.0] * len(ALL)
    page = output.with_suffix(".md").read_text()
    assert "## Method" in page and "| far 0.1% |" in page and "results.png" in page
    assert output.with_suffix(".png").stat().st_size > 10_000
    assert str(tmp_path) not in output.read_text() + page
    assert socket.gethostname() not in output.read_text() + page
    output.with_suffix(".md").unlink()
    main(["--render", str(output)])
    assert output.with_suffix(".md").read_text() == page
    assert "Query with a filter" in capsys.readouterr().out


def test_six_rounds_are_all_orders_of_three_engines() -> None:
    assert len({tuple(order("abc", round)) for round in range(6)}) == 6
    assert [order("ab", round)[0] for round in range(4)] == ["a", "b", "b", "a"]


@pytest.fixture
def corpus() -> Corpus:
    """1,000 records; each vector occurs twice, as records n and n + 500."""
    vectors = np.random.default_rng(1).standard_normal((500, 8)).astype(np.float32)
    vectors, questions = np.concatenate([vectors, vectors]), vectors[:7] + np.float32(0.01)
    numbers, sides = numbers_of(vectors, questions)
    ids = [str(i) for i in range(1000)]
    return Corpus(ids, ids, [dict(item) for item in numbers], vectors, questions, sides)


@pytest.mark.parametrize("filter", ALL, ids=lambda item: item.name)
def test_a_filter_selects_its_share(corpus: Corpus, filter: Filter) -> None:
    for number, side in enumerate(corpus.sides):
        key, compare, bound = parse(filter.where(side, number))
        selected = sum(compare(metadata[key], bound) for metadata in corpus.metadatas)
        assert selected == round(1000 * filter.share)


def test_a_neighbour_as_near_counts_whatever_its_id(corpus: Corpus) -> None:
    truth = Truth(corpus, 1)
    assert truth.recall(None, 3, ["3"]) == truth.recall(None, 3, ["503"]) == 1
    assert truth.recall(None, 3, ["4"]) == truth.recall(None, 3, []) == 0


def test_what_a_filter_refuses_does_not_count(corpus: Corpus) -> None:
    truth, filter = Truth(corpus, 10), Filter("random", 0.01)
    selected = [str(i) for i, metadata in enumerate(corpus.metadatas) if metadata["random"] < 10_000_000]
    refused = [str(i) for i, metadata in enumerate(corpus.metadatas) if metadata["random"] >= 10_000_000]
    assert truth.recall(filter, 0, selected) == 1
    assert truth.recall(filter, 0, refused[:10]) == 0
    assert truth.recall(filter, 0, selected[:1] * 10) == 0.1
