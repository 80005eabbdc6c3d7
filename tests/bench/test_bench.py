"""The benchmark runs from text to page, and judges answers by distance under the filter."""

from __future__ import annotations

import importlib.util
import json
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bench import bars, tables, turns, workloads
from bench.__main__ import main
from bench.corpus import Corpus, load
from bench.engines import ENGINES, missing
from bench.engines.base import HNSW, ef_search
from bench.figures import Figures
from bench.filters import COMPOUNDS, DOCUMENTS, RANGES, Compound, Document, Range, fields_of
from bench.truth import Truth
from bench.turns import order

from vicinal.config import HnswConfiguration

CASES = [*RANGES, *COMPOUNDS, *DOCUMENTS]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def run(cache: Path, output: Path, *more: str) -> Any:
    sizes = ["--rows=300", "--queries=20", "--rounds=1", "--seconds=0", "--engines=vicinal,hnswlib"]
    main([*sizes, f"--cache={cache}", f"--output={output}", *more])
    return json.loads(output.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def output(cache: Path) -> Path:
    """The results of a small run, with their page and plots beside them."""
    output = cache / "results.json"
    run(cache, output, "--workloads=query,filter,compound,document,scan,sparse,reopen,write,append")
    return output


def test_a_small_run_writes_results_a_page_and_plots(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = json.loads(output.read_text(encoding="utf-8"))
    assert [turn["failed"] for turn in results["turns"] if "failed" in turn] == []
    judged = [turn for turn in results["turns"] if turn["engine"] == "vicinal" and "recall" in turn]
    assert [(turn["recall"], turn["full"]) for turn in judged] == [(1.0, 1.0)] * (1 + len(CASES))
    page = output.with_suffix(".md").read_text(encoding="utf-8")
    assert "## Method" in page and "| far 11% |" in page and "results.png" in page
    assert "sparse p50 ms" in page and "hybrid p50 ms" not in page  # which was not measured
    assert "| memory | ÷ (1.5 × vectors + links) ≤ 1 |" in page
    for plot in ("results.png", "results-overview.png"):
        assert output.with_name(plot).stat().st_size > 10_000
    assert str(output.parent) not in output.read_text(encoding="utf-8") + page
    assert socket.gethostname() not in output.read_text(encoding="utf-8") + page
    output.with_suffix(".md").unlink()
    main(["--render", str(output)])
    assert output.with_suffix(".md").read_text(encoding="utf-8") == page
    assert "Query with a filter" in capsys.readouterr().out


def test_runs_of_several_sizes_become_a_page_of_how_costs_grow(output: Path, tmp_path: Path) -> None:
    results = json.loads(output.read_text(encoding="utf-8"))
    small = {name: results.pop(name) for name in ("run", "turns", "corpus", "overlap")}
    large = small | {"corpus": small["corpus"] | {"rows": 600}}
    large["turns"] = [t | {"p50_ms": 2 * t["p50_ms"]} if "p50_ms" in t else t for t in small["turns"]]
    scaling = tmp_path / "scaling.json"
    scaling.write_text(json.dumps(results | {"runs": [small, large]}))
    main(["--render", str(scaling)])
    page = scaling.with_suffix(".md").read_text(encoding="utf-8")
    assert "| vicinal | 300 | 600 | grew as N to the |" in page and "scaling.png" in page
    assert "Rows that fit into 70% of a machine's memory" in page
    assert "query p50 ms (N to the 1.00)" in page


@pytest.mark.slow
def test_a_scaling_run_measures_every_size(cache: Path, tmp_path: Path) -> None:
    output = tmp_path / "scaling.json"
    results = run(cache, output, "--scaling", "--sizes=200,300", "--workloads=query,reopen")
    assert [run["corpus"]["rows"] for run in results["runs"]] == [200, 300]
    assert "| vicinal | 200 | 300 | grew as N to the |" in output.with_suffix(".md").read_text(
        encoding="utf-8"
    )


@pytest.mark.slow
@pytest.mark.parametrize("engine", [name for name in ENGINES if name not in ("vicinal", "hnswlib")])
def test_every_engine_does_what_it_offers(cache: Path, tmp_path: Path, engine: str) -> None:
    if importlib.util.find_spec(ENGINES[engine].package) is None:
        pytest.skip(f"{engine} is not installed")
    results = run(cache, tmp_path / "results.json", f"--engines={engine}", "--rows=1000")
    assert [turn["failed"] for turn in results["turns"] if "failed" in turn] == []
    judged = [turn["recall"] for turn in results["turns"] if "recall" in turn]
    assert min(judged, default=1) >= 0.98


def test_an_engine_that_cannot_be_imported_is_left_out_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ENGINES["chroma"], "package", "no_such_package")
    assert list(missing(["chroma", "sqlite"])) == ["chroma"]
    assert "no_such_package" in missing(["chroma"])["chroma"]


def test_six_rounds_are_all_orders_of_three_engines() -> None:
    assert len({tuple(order("abc", round)) for round in range(6)}) == 6
    assert [order("ab", round)[0] for round in range(4)] == ["a", "b", "b", "a"]


def test_more_rows_than_there_is_text_repeat_text_beside_itself(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [(f"id {i}", f"text number {i}", {"package": "p"}) for i in range(30)]
    monkeypatch.setattr("bench.corpus._texts", lambda: iter(texts))
    corpus = load(cache, 60, 5, 384)
    assert corpus.vectors.shape == (60, 384) and corpus.questions.shape == (5, 384)
    assert corpus.repeated == 35 and len(set(corpus.ids)) == 60 and len(set(corpus.documents)) == 25
    original, again = (corpus.vectors[corpus.ids.index(id)] for id in ("id 1", "id 1~1"))
    assert 0.97 < original @ again / np.linalg.norm(original) / np.linalg.norm(again) < 0.99


# --- what is right -----------------------------------------------------------------------------------


@pytest.fixture
def corpus() -> Corpus:
    """1,000 records; each vector occurs twice, as records n and n + 500."""
    vectors = np.random.default_rng(1).standard_normal((500, 8)).astype(np.float32)
    vectors, questions = np.concatenate([vectors, vectors]), vectors[:7] + np.float32(0.01)
    fields, sides = fields_of(vectors, questions)
    ids = [str(i) for i in range(1000)]
    documents = [f"before after number{i % 50:c} {chr(97 + i % 26) * 9} between" for i in range(1000)]
    return Corpus(ids, documents, fields, vectors, ["?"] * 7, questions, sides)


@pytest.mark.parametrize("case", RANGES, ids=lambda item: item.name)
def test_a_filter_selects_its_share(corpus: Corpus, case: Range) -> None:
    for number in range(len(corpus.sides)):
        ((key, operator, bound),) = case.condition(corpus.facts(), number).parts()
        values = [metadata[key] for metadata in corpus.metadatas]
        selected = sum(value < bound if operator == "$lt" else value >= bound for value in values)
        assert selected == max(1, round(1000 * case.share))


@pytest.mark.parametrize("case", COMPOUNDS, ids=lambda item: item.name)
def test_a_cold_condition_is_of_one_question_and_a_repeated_one_of_all(
    corpus: Corpus, case: Compound
) -> None:
    conditions = [repr(case.condition(replace(corpus.facts(), rows=100_000), number)) for number in range(7)]
    assert len(set(conditions)) == (7 if case.cold else 1)


@pytest.mark.parametrize("case", DOCUMENTS, ids=lambda item: item.name)
def test_a_phrase_is_found_in_the_document_that_it_was_taken_from(corpus: Corpus, case: Document) -> None:
    truth = Truth(corpus, 10)
    assert all(truth._mask(case, number).any() for number in range(7))


def test_a_neighbour_as_near_counts_whatever_its_id(corpus: Corpus) -> None:
    truth = Truth(corpus, 1)
    assert truth.judge(None, 3, ["3"]) == truth.judge(None, 3, ["503"]) == (1.0, True)
    assert truth.judge(None, 3, ["4"]) == truth.judge(None, 3, ["4", "3"]) == (0.0, True)
    assert truth.judge(None, 3, []) == (0.0, False)


def test_what_a_filter_refuses_does_not_count(corpus: Corpus) -> None:
    truth, case = Truth(corpus, 10), Range("random", 0.01)
    bound = case.condition(truth.facts, 0).parts()[0][2]
    selected = [str(i) for i, metadata in enumerate(corpus.metadatas) if metadata["random"] < bound]
    refused = [str(i) for i, metadata in enumerate(corpus.metadatas) if metadata["random"] >= bound]
    assert truth.judge(case, 0, selected) == (1.0, True)
    assert truth.judge(case, 0, refused[:10]) == (0.0, True)
    assert truth.judge(case, 0, selected[:1] * 10) == (0.1, False)


def test_every_question_is_judged_by_its_own_side_of_a_filter(corpus: Corpus) -> None:
    truth, case = Truth(corpus, 10), Range("near", 0.01)
    for number in (truth.facts.sides.index(True), truth.facts.sides.index(False)):
        [(_, name, bound)] = case.condition(truth.facts, number).parts()
        above = [(metadata["axis"] >= bound) == (name == "$gte") for metadata in corpus.metadatas]
        selected = [str(i) for i, selects in enumerate(above) if selects]
        assert truth.judge(case, number, selected) == (1.0, True)


# --- what is concluded -------------------------------------------------------------------------------


def figures(*measured: tuple[str, str, dict[str, float]]) -> Figures:
    """Turns of one round."""
    found = [{"round": 0, "engine": e, "workload": w, "case": "", **more} for e, w, more in measured]
    corpus = {"rows": 1000, "dimension": 100, "text_mb": 0.5}
    return Figures({"run": {"engines": ["vicinal", "chroma"]}, "corpus": corpus, "turns": found})


def bar(row: str, words: str) -> bars.Bar:
    (found,) = [bar for bar in bars.BARS if bar.row == row and words in bar.wanted]
    return found


def test_a_bar_is_reached_missed_or_not_measured() -> None:
    ingest = bar("durable ingest", "Chroma")
    fast = figures(("vicinal", "ingest", {"rows_per_s": 40_000}), ("chroma", "ingest", {"rows_per_s": 900}))
    slow = figures(("vicinal", "ingest", {"rows_per_s": 40_000}), ("chroma", "ingest", {"rows_per_s": 1100}))
    assert ingest.reached(fast) is True and ingest.reached(slow) is False
    assert bar("LangChain", "").reached(fast) is None
    assert "| durable ingest | rows/s ÷ Chroma's ≥ 40 | 36.4× | **not reached** |" in tables.bars(slow)


def test_all_walk_with_the_ef_that_vicinal_takes_by_itself() -> None:
    usual = HnswConfiguration.model_validate({})
    assert {key: getattr(usual, key) for key in HNSW} == HNSW
    for rows in (1_000, 70_000, 300_000, 5_000_000):
        assert usual.ef(rows) == ef_search(rows)


def test_memory_is_measured_against_vectors_and_links() -> None:
    # 0.4 MB of vectors, 0.208 MB of links
    held = figures(("vicinal", "reopen", {"own_mb": 0.808, "disk_mb": 1.3}))
    assert bar("memory", "").figure(held) == pytest.approx(1)
    assert bar("disk", "").reached(held) is False


def test_what_failed_is_told_and_gives_no_figures() -> None:
    broken = figures(("vicinal", "query", {"p50_ms": 1}), ("chroma", "query", {"failed": "OSError: no"}))  # type: ignore[dict-item]
    shown = "".join(tables.tables(broken, {}))
    assert "| chroma | query |  | OSError: no |" in shown and "| vicinal | 1.00 |" in shown


def test_every_workload_is_known_by_a_name_that_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--workloads=query,tea"])
    assert "no workload is called tea" in capsys.readouterr().err and "busy" in turns.WORKLOADS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rows=9",), "argument --rows: '9' is not a whole number, 10 or more"),
        (("--rows=many",), "argument --rows: 'many' is not a whole number, 10 or more"),
        (("--queries=1",), "argument --queries: '1' is not a whole number, 2 or more"),
        (("--k=0",), "argument --k: '0' is not a whole number, 1 or more"),
        (("--rows=20", "--k=21"), "argument --k: 21 results of 20 rows"),
        (("--scaling", "--sizes=20,300", "--k=21"), "argument --k: 21 results of 20 rows"),
        (("--rounds=-1",), "argument --rounds: '-1' is not a whole number, 1 or more"),
        (("--seconds=-1",), "argument --seconds: '-1' is not a number, 0 or more"),
        (("--seconds=nan",), "argument --seconds: 'nan' is not a number, 0 or more"),
        (("--seconds=soon",), "argument --seconds: 'soon' is not a number, 0 or more"),
        (("--dimension=1",), "argument --dimension: '1' is not a whole number, from 2 to 512"),
        (("--dimension=513",), "argument --dimension: '513' is not a whole number, from 2 to 512"),
        (("--engines=vicinal,vicinal",), "argument --engines: one is named twice"),
        (("--sizes=200,few",), "argument --sizes: 'few' is not a whole number, 10 or more"),
        (("--sizes=300,200",), "argument --sizes: '300,200': each is to be more than the one before"),
        (("--sizes=300,300",), "argument --sizes: '300,300': each is to be more than the one before"),
        (("--qui",), "unrecognized arguments: --qui"),  # its defaults would be missed
        (("--render=nowhere.json",), "argument --render: nowhere.json: No such file or directory"),
        (("--render=.",), "argument --render: .: "),
        (("--render=notes.txt",), "argument --render: notes.txt: holds no results"),
        (("--render=list.json",), "argument --render: list.json: holds no results"),
        (("--render=other.json",), "argument --render: other.json: holds no results"),
    ],
)
def test_a_wrong_argument_is_refused_in_a_line(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"notes.txt": "x", "list.json": "[]", "other.json": '{"runs": []}'}.items():
        Path(name).write_text(text)
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_the_least_that_is_taken_can_be_measured(cache: Path, tmp_path: Path) -> None:
    least = ["--rows=10", "--queries=2", "--k=10", "--dimension=2", "--engines=vicinal"]
    results = run(cache, tmp_path / "results.json", *least, "--seconds=0.1")
    assert [turn for turn in results["turns"] if "failed" in turn] == []


# --- what is timed -----------------------------------------------------------------------------------


class Asked:
    """An engine that notes what it is asked."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def query(self, vector: int, k: int, condition: Any = None) -> tuple[list[str], list[str], list[Any]]:
        assert (k, condition) == (10, None)
        self.heard.append(vector)
        return [str(vector)], [], []

    def text(self, question: int, k: int) -> None:
        self.query(question, k)

    def mmr(self, vector: int, k: int, fetch_k: int) -> None:
        assert k < fetch_k

    def settle(self) -> None:
        pass


@pytest.mark.parametrize("workload", ["query", "text", "mmr"])
def test_what_warms_up_is_not_timed(workload: str) -> None:
    engine, numbers = Asked(), range(100, 140)
    corpus: Any = SimpleNamespace(questions=range(1000), asked=range(1000))
    asked = [(number, None) for number in numbers]
    found = getattr(workloads, workload)(engine, corpus, 10, asked, 60)
    warming, timed = engine.heard[:5], engine.heard[5:]
    assert (sorted(warming), timed) == (list(numbers[-5:]), list(numbers[:-5]))
    assert len(found["times_ms"]) == len(timed)
    assert found.get("answers", []) == [[str(n)] for n in timed if workload == "query"]


def test_a_few_questions_warm_up_and_are_timed() -> None:
    engine = Asked()
    corpus: Any = SimpleNamespace(questions=range(1000))
    found = workloads.query(engine, corpus, 10, [(7, None), (3, None)], 60)  # type: ignore[arg-type, list-item]
    assert (engine.heard, found["answers"]) == ([7, 3, 7, 3], [["7"], ["3"]])
