"""Which tables does the page show? Rows are engines or cases; every cell is a median over the rounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bench.bars import BARS, OURS
from bench.figures import Figures
from bench.filters import COMPOUNDS, DOCUMENTS, RANGES

NOTHING = "–"
_MANY = 100

Column = tuple[str, str, str, str]
"""Heading, workload, figure, format."""

_INGEST: list[Column] = [
    ("rows/s acknowledged", "ingest", "rows_per_s", ",.0f"),
    ("s until all is indexed", "ingest", "indexed_s", ".1f"),
    ("memory MB", "ingest", "memory_mb", ",.0f"),
]
_QUERY: list[Column] = [
    ("p50 ms", "query", "p50_ms", ".2f"),
    ("p95 ms", "query", "p95_ms", ".2f"),
    ("recall", "query", "recall", ".3f"),
    ("first ms", "query", "first_ms", ".1f"),
]
_THROUGHPUT: list[Column] = [
    ("100-query batch, queries/s", "batch", "queries_per_s", ",.0f"),
    ("one thread, queries/s", "threads", "one_per_s", ",.0f"),
    ("two threads", "threads", "two_per_s", ",.0f"),
    ("two ÷ one", "threads", "two_by_one", ".2f"),
    ("MMR p50 ms", "mmr", "p50_ms", ".2f"),
    ("p95 ms", "mmr", "p95_ms", ".2f"),
    ("MMR − query", "mmr", "above_ms", ".2f"),
]
_WRITE: list[Column] = [
    ("add", "write", "add_ms", ".1f"),
    ("upsert", "write", "upsert_ms", ".1f"),
    ("delete", "write", "delete_ms", ".1f"),
    ("delete by filter", "write", "delete_where_ms", ".1f"),
    ("first count after an append", "append", "p50_ms", ".2f"),
]
_BUSY: list[Column] = [
    ("idle p95 ms", "busy", "idle_p95_ms", ".2f"),
    ("*p95 ms*", "busy", "busy_p95_ms", ".2f"),
    ("p99 ms", "busy", "busy_p99_ms", ".2f"),
    ("longest ms", "busy", "longest_ms", ".1f"),
    ("rows/s meanwhile", "busy", "rows_per_s", ",.0f"),
    ("ms a batch", "busy", "batch_ms", ".1f"),
]
_REOPEN: list[Column] = [
    ("import ms", "reopen", "import_ms", ",.0f"),
    ("*open to answer ms*", "reopen", "answer_ms", ",.0f"),
    ("files not in memory: ms", "reopen", "cold_ms", ",.0f"),
    ("own memory MB", "reopen", "own_mb", ",.0f"),
    ("mapped MB", "reopen", "mapped_mb", ",.0f"),
    ("disk MB", "reopen", "disk_mb", ",.0f"),
]
_TEXT: list[Column] = [
    ("BM25 p50 ms", "text", "p50_ms", ".2f"),
    ("p95 ms", "text", "p95_ms", ".2f"),
    ("first ms", "text", "first_ms", ".1f"),
    ("hybrid p50 ms", "hybrid", "p50_ms", ".2f"),
    ("p95 ms", "hybrid", "p95_ms", ".2f"),
    ("sparse p50 ms", "sparse", "p50_ms", ".2f"),
    ("p95 ms", "sparse", "p95_ms", ".2f"),
    ("first ms", "sparse", "first_ms", ".1f"),
]


def tables(figures: Figures, overlap: dict[str, float]) -> Iterator[str]:
    """In reading order, as Markdown; what was not measured at all is left out."""
    yield bars(figures)
    for title, columns in (
        ("Ingest", _INGEST),
        ("Query", _QUERY),
    ):
        yield from _by_engine(figures, title, columns)
    ranges = [case.name for case in RANGES]
    passing = {name: f"{share:.1%}" for name, share in overlap.items()}
    yield from _by_case(figures, "Query with a filter", "filter", ranges, passing)
    yield from _by_case(
        figures, "Query with a compound filter", "compound", [case.name for case in COMPOUNDS], {}
    )
    counted = [case.name for case in COMPOUNDS]
    yield from _by_case(figures, "Counting what a compound filter selects", "count", counted, {})
    scans = {case.name: _cell(figures, "hnswlib", "scan", case.name, "p50_ms", ".1f") for case in DOCUMENTS}
    found = [case.name for case in DOCUMENTS]
    yield from _by_case(
        figures, "Query with a filter on documents", "document", found, scans, "Python's scan ms"
    )
    for title, columns in (
        ("Many queries, and MMR", _THROUGHPUT),
        ("Writing up to 1,000 records, ms", _WRITE),
        ("Queries while another thread adds", _BUSY),
        ("Reopen", _REOPEN),
        ("Text", _TEXT),
    ):
        yield from _by_engine(figures, title, columns)
    yield from _adapters(figures)
    if figures.failures:
        yield table("What failed", ["", "workload", "case", "error"], figures.failures)


def bars(figures: Figures) -> str:
    """Every bar, and whether it is reached."""
    words = {True: "reached", False: "**not reached**", None: "not measured"}
    rows = []
    for bar in BARS:
        value = bar.figure(figures)
        shown = NOTHING if math.isnan(value) else f"{value:.3g}{bar.unit}"
        rows.append([bar.row, bar.wanted, shown, words[bar.reached(figures)]])
    return table("Bars", ["", "bar", "measured", ""], rows)


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown: a heading and a table with its first column to the left."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))
    return f"## {title}\n\n{lines}\n"


def _by_engine(figures: Figures, title: str, columns: Sequence[Column]) -> Iterator[str]:
    """A row an engine; the last column compares the figure that is marked with ours, or the first.

    What no engine has been measured in is no column: older results lack newer workloads.
    """
    marked = next((column for column in columns if column[0].startswith("*")), columns[0])
    _, workload, name, _ = marked
    engines, rows = figures.run["engines"], []
    columns = [c for c in columns if any(figures.has(engine, c[1], "", c[2]) for engine in engines)]
    for engine in engines:
        cells = [_cell(figures, engine, kind, "", figure, form) for _, kind, figure, form in columns]
        if set(cells) - {NOTHING}:
            ratio = figures.ratio((engine, workload, "", name), (OURS, workload, "", name))
            rows.append([engine, *cells, NOTHING if math.isnan(ratio) else _short(ratio)])
    if rows:
        yield table(
            title,
            ["", *(heading.strip("*") for heading, *_ in columns), f"{marked[0].strip('*')} ÷ {OURS}'s"],
            rows,
        )


def _by_case(
    figures: Figures,
    title: str,
    workload: str,
    cases: Sequence[str],
    beside: dict[str, str],
    heading: str = "passing",
) -> Iterator[str]:
    """A row a case and a column an engine: p50 / p95 ms (recall), and ×, its p50 ÷ ours."""
    engines = [e for e in figures.run["engines"] if any(figures.has(e, workload, c, "p50_ms") for c in cases)]
    if not engines:
        return
    first = figures.has(OURS, workload, cases[0], "first_ms")
    rows = []
    for case in cases:
        row = [case, *([beside.get(case, NOTHING)] if beside else [])]
        row += [_speed(figures, engine, workload, case) for engine in engines]
        row += [_cell(figures, OURS, workload, case, "first_ms", ".1f")] if first else []
        rows.append(row)
    extra = [heading] if beside else []
    judged = any(figures.has(e, workload, cases[0], "recall") for e in engines)
    title += ": p50 / p95 ms (recall), × p50" if judged else ": p50 / p95 ms, × p50"
    yield table(title, ["", *extra, *engines, *([f"{OURS}: first ms"] if first else [])], rows)


def _speed(figures: Figures, engine: str, workload: str, case: str) -> str:
    if not figures.has(engine, workload, case, "p50_ms"):
        return NOTHING
    p50, p95 = (_time(figures.median(engine, workload, case, name)) for name in ("p50_ms", "p95_ms"))
    recall = f" ({_cell(figures, engine, workload, case, 'recall', '.3f')})"
    ratio = figures.ratio((engine, workload, case, "p50_ms"), (OURS, workload, case, "p50_ms"))
    times = "" if engine == OURS or math.isnan(ratio) else f", {_short(ratio)} ×"
    return f"{p50} / {p95}{'' if NOTHING in recall else recall}{times}"


def _adapters(figures: Figures) -> Iterator[str]:
    rows = []
    for name, label in (("langchain", "LangChain"), ("llama_index", "LlamaIndex")):
        if figures.has(OURS, name, "", "p50_ms"):
            cells = [_cell(figures, OURS, name, "", f, ".2f") for f in ("p50_ms", "p95_ms", "direct_ms")]
            rows.append([label, *cells, _cell(figures, OURS, name, "", "above_ms", ".3f")])
    if rows:
        header = ["", "p50 ms", "p95 ms", "engine's p50 ms", "above ms"]
        yield table("Through the frameworks, over 2,000 records", header, rows)


def _cell(figures: Figures, engine: str, workload: str, case: str, name: str, form: str) -> str:
    value = figures.median(engine, workload, case, name)
    return NOTHING if math.isnan(value) else format(value, form)


def _short(value: float) -> str:
    """Two digits that count."""
    return f"{value:,.0f}" if value >= _MANY else f"{value:.2g}"


def _time(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
