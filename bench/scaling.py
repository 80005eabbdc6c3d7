"""How does each cost grow with the number of rows, and what does one machine hold?

Rendered from several runs of the same workloads over the same corpus, cut to more and more rows. What a
machine holds is computed from the memory that the largest run took, for other dimensions by the formula
that the page states.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.bars import LINK_BYTES, OURS, links_mb, raw_mb
from bench.figures import Figures
from bench.plots import growth
from bench.tables import NOTHING, table

_TEXT = Path(__file__).with_name("scaling.md")
_DIMENSIONS = (256, 384, 768, 1536)
_MEMORIES_GB = (8, 16, 32, 64)
_FREE = 0.7
"""The share of the machine's memory that the store may take."""

_CODE_BYTES_MORE = 12

Measure = tuple[str, str, str, str, str]
"""Label, workload, case, figure, format."""

_MEASURES: Sequence[Measure] = (
    ("rows/s acknowledged", "ingest", "", "rows_per_s", ",.0f"),
    ("s until all is indexed", "ingest", "", "indexed_s", ".1f"),
    ("query p50 ms", "query", "", "p50_ms", ".2f"),
    ("query p95 ms", "query", "", "p95_ms", ".2f"),
    ("recall", "query", "", "recall", ".3f"),
    ("filter random 50 % p50 ms", "filter", "random 50%", "p50_ms", ".2f"),
    ("filter far 50 % p50 ms", "filter", "far 50%", "p50_ms", ".2f"),
    ("filter far 11 % p50 ms", "filter", "far 11%", "p50_ms", ".2f"),
    ("filter far 11 % p95 ms", "filter", "far 11%", "p95_ms", ".2f"),
    ("filter far 11 % recall", "filter", "far 11%", "recall", ".3f"),
    ("filter random 1.5 % p50 ms", "filter", "random 1.5%", "p50_ms", ".2f"),
    ("count, three conditions, cold, p50 ms", "count", "$and of three, cold", "p50_ms", ".2f"),
    ("count, three conditions, repeated, p50 ms", "count", "$and of three, repeated", "p50_ms", ".3f"),
    ("open to first answer ms", "reopen", "", "answer_ms", ",.0f"),
    ("own memory MB", "reopen", "", "own_mb", ",.0f"),
    ("mapped MB", "reopen", "", "mapped_mb", ",.0f"),
    ("disk MB", "reopen", "", "disk_mb", ",.0f"),
)
_PLOTTED = (
    "s until all is indexed",
    "query p50 ms",
    "filter far 11 % p50 ms",
    "open to first answer ms",
    "own memory MB",
    "disk MB",
)


class Growth:
    """A results file of several runs, as a page."""

    def __init__(self, path: Path) -> None:
        self.path, self.data = path, json.loads(path.read_text(encoding="utf-8"))
        self.runs = [Figures(run) for run in self.data["runs"]]
        self.sizes = [run.corpus["rows"] for run in self.runs]

    def tables(self) -> Iterator[str]:
        """In reading order, as Markdown."""
        yield self._growth(OURS)
        for engine in self.runs[0].run["engines"]:
            if engine != OURS:
                yield self._growth(engine)
        yield self._memory()
        yield self._capacity()

    def render(self) -> Path:
        """Write the page, and the plot that it shows, beside the results."""
        page, plot = self.path.with_suffix(".md"), self.path.with_suffix(".png")
        growth(self._series(), plot)
        ours, others, memory, capacity = self._grouped()
        largest = self.data["runs"][-1]
        text = _TEXT.read_text(encoding="utf-8").format(
            **self.data,
            file=self.path.name,
            plot=plot.name,
            sizes=",".join(map(str, self.sizes)),
            corpus=largest["corpus"],
            run=largest["run"],
            ours=ours,
            others=others,
            memory=memory,
            capacity=capacity,
            knee=self._knee(),
        )
        page.write_text(text, encoding="utf-8")
        return page

    def _grouped(self) -> tuple[str, str, str, str]:
        ours, *others, memory, capacity = self.tables()
        return ours, "\n".join(others), memory, capacity

    def _growth(self, engine: str) -> str:
        """A row a measure: its value at each size, and the power of N by which it grew at last."""
        efs = [run.run["ef"] for run in self.runs]
        rows = [["ef of a walk", *map(str, efs), *map(_power, self._powers(efs)[-1:])]]
        for label, *where, form in _MEASURES:
            values = [run.median(engine, *where) for run in self.runs]
            if all(map(math.isnan, values)):
                continue
            cells = [NOTHING if math.isnan(value) else format(value, form) for value in values]
            rows.append([label, *cells, *map(_power, self._powers(values)[-1:])])
        header = [
            engine,
            *(f"{size:,}" for size in self.sizes),
            *(["grew as N to the"] * (len(self.sizes) > 1)),
        ]
        return table(f"Costs by number of rows: {engine}", header, rows)

    def _powers(self, values: Sequence[float]) -> list[float]:
        """Between each size and the next: 1 is in proportion to N, 0 not at all."""
        pairs = list(zip(self.sizes, values))
        return [
            math.log(after / before) / math.log(more / fewer) if before > 0 and after > 0 else math.nan
            for (fewer, before), (more, after) in itertools.pairwise(pairs)
        ]

    def _memory(self) -> str:
        """What the largest run took, beside what its parts come to."""
        run = self.runs[-1]
        rows, dimension = run.corpus["rows"], run.corpus["dimension"]
        codes = rows * (dimension + _CODE_BYTES_MORE) / 1e6
        parts = [
            ("vectors, float32, a mapped file", "4 × dimension", raw_mb(run)),
            ("hnswlib's copy of them", "4 × dimension", raw_mb(run)),
            (f"links of the graph, M = {self.data['hnsw']['max_neighbors']}", str(LINK_BYTES), links_mb(run)),
            ("int8 codes", f"dimension + {_CODE_BYTES_MORE}", codes),
        ]
        shown = [[name, per, f"{mb:,.0f}", f"{1e6 * mb / rows:,.0f}"] for name, per, mb in parts]
        for label, name in (("measured: own memory", "own_mb"), ("measured: mapped files", "mapped_mb")):
            mb = run.median(OURS, "reopen", "", name)
            shown.append([label, NOTHING, f"{mb:,.0f}", f"{1e6 * mb / rows:,.0f}"])
        title = f"Memory of {rows:,} rows × {dimension}"
        return table(title, ["", "bytes a row", "MB", "bytes a row here"], shown)

    def _capacity(self) -> str:
        """Rows that fit into memory, in thousands."""
        header = ["memory GB", *(f"{dimension} dimensions" for dimension in _DIMENSIONS)]
        rows = [
            [
                str(memory),
                *(f"{_FREE * memory * 1e9 / self._row_bytes(d) / 1e3:,.0f},000" for d in _DIMENSIONS),
            ]
            for memory in _MEMORIES_GB
        ]
        return table(f"Rows that fit into {_FREE:.0%} of a machine's memory", header, rows)

    def _row_bytes(self, dimension: int) -> float:
        """Own and mapped memory of a row: as measured, with the difference in dimensions by the formula."""
        run = self.runs[-1]
        measured = run.median(OURS, "reopen", "", "own_mb") + run.median(OURS, "reopen", "", "mapped_mb")
        here = 1e6 * measured / run.corpus["rows"]
        return here + (dimension - run.corpus["dimension"]) * (4 + 4 + 1)

    def _knee(self) -> str:
        """Which costs grew in proportion to N or faster at the last step."""
        if len(self.sizes) < 2:
            return "One size was measured: no growth."
        steep = []
        for label, *where, _ in _MEASURES:
            if where[2] in ("p50_ms", "answer_ms") and (
                powers := self._powers([r.median(OURS, *where) for r in self.runs])
            ):
                steep.append((powers[-1], label))
        steep = [(power, label) for power, label in steep if not math.isnan(power)]
        proportional = [
            f"{label} (N to the {power:.2f})" for power, label in sorted(steep)[::-1] if power >= 0.8
        ]
        step = f"From {self.sizes[-2]:,} to {self.sizes[-1]:,} rows"
        if not proportional:
            return f"{step}, no time grew in proportion to N: there is no knee in what was measured."
        return f"{step}, these times grew nearly in proportion to N or faster: {'; '.join(proportional)}."

    def _series(self) -> dict[str, dict[str, list[tuple[int, float]]]]:
        found: dict[str, dict[str, list[tuple[int, float]]]] = {}
        for label, *where, _ in _MEASURES:
            if label in _PLOTTED:
                found[label] = {}
                for engine in self.runs[0].run["engines"]:
                    points = [(n, run.median(engine, *where)) for n, run in zip(self.sizes, self.runs)]
                    points = [(n, value) for n, value in points if value > 0]
                    if points:
                        found[label][engine] = points
        return {label: lines for label, lines in found.items() if lines}


def _power(power: float) -> str:
    return NOTHING if math.isnan(power) else f"{power:.2f}"
