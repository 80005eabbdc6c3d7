"""How do measurements become tables, a page and a plot?

All is made from the results file alone, so a page can be rendered again without measuring again. Every
figure is the median over the rounds; every ratio the median of the ratios within a round.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.filters import SHARES, TIES, Filter

_METHOD = Path(__file__).with_name("method.md")
_INGEST = {"rows_per_s": ",.0f", "indexed_s": ".1f", "memory_mb": ",.0f"}
_QUERY = {"p50_ms": ".2f", "p95_ms": ".2f", "recall": ".3f", "first_ms": ".1f"}
_REOPEN = {"import_ms": ",.0f", "answer_ms": ",.0f", "memory_mb": ",.0f", "disk_mb": ",.0f"}


class Results:
    """A results file, as medians."""

    def __init__(self, path: Path) -> None:
        self.path, self.data = path, json.loads(path.read_text())
        self.engines: list[str] = self.data["run"]["engines"]
        turns = pd.DataFrame(self.data["turns"])
        self.medians = turns.groupby(["workload", "case", "engine"]).median()
        asked = turns[turns.workload == "query"]
        self._p50 = asked.pivot(index=["case", "round"], columns="engine", values="p50_ms")

    def tables(self) -> Iterator[str]:
        """In reading order, as Markdown."""
        rows = [[engine, *self._cells("ingest", engine, _INGEST)] for engine in self.engines]
        yield _table("Ingest", ["", "rows/s acknowledged", "s until all is indexed", "memory MB"], rows)
        ratios = [f"p50 ÷ {peer}'s" for peer in self.engines[1:]]
        rows = [[e, *self._cells("query", e, _QUERY), *self._ratios(e)] for e in self.engines]
        yield _table("Query", ["", "p50 ms", "p95 ms", "recall", "first ms", *ratios], rows)
        rows, ours = [], self.engines[0]
        for case, passing in self.data["overlap"].items():
            speeds = [self._cells("query", engine, _QUERY, case) for engine in self.engines]
            cells = [f"{p50} / {p95} ({recall})" for p50, p95, recall, _ in speeds]
            rows.append([case, f"{passing:.1%}", *cells, speeds[0][-1], *self._ratios(ours, case)])
        header = ["", "passing", *self.engines, f"{ours}: first ms", *ratios]
        yield _table("Query with a filter: p50 / p95 ms (recall)", header, rows)
        rows = [[engine, *self._cells("reopen", engine, _REOPEN)] for engine in self.engines]
        yield _table("Reopen", ["", "import ms", "open to answer ms", "memory MB", "disk MB"], rows)

    def _cells(self, workload: str, engine: str, formats: dict[str, str], case: str = "") -> list[str]:
        figures = self.medians.loc[workload, case, engine]
        return [format(figures[name], spec) for name, spec in formats.items()]

    def _ratios(self, engine: str, case: str = "") -> list[str]:
        times = self._p50.loc[case]
        return [f"{(times[engine] / times[peer]).median():.2g}" for peer in self.engines[1:]]

    def render(self) -> Path:
        """Write the page, and the plot that it shows, beside the results."""
        page, plot = self.path.with_suffix(".md"), self.path.with_suffix(".png")
        self._plot(plot)
        method = _METHOD.read_text().format(**self.data, file=self.path.name)
        page.write_text("\n".join([method, *self.tables(), f"![p50 by selectivity]({plot.name})\n"]))
        return page

    def _plot(self, path: Path) -> None:
        """One panel a tie, one line an engine; hollow where recall is below 0.95."""
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        for panel, tie in zip(figure.subplots(1, len(TIES), sharey=True), TIES):
            for engine, colour in zip(self.engines, ("C0", "C7", "C3", "C2", "C4", "C5")):
                points = [self.medians.loc["query", Filter(tie, share).name, engine] for share in SHARES]
                panel.loglog(SHARES, [point.p50_ms for point in points], color=colour, label=engine)
                for share, point in zip(SHARES, points):
                    fill = colour if point.recall >= 0.95 else "white"
                    panel.plot(share, point.p50_ms, "o", color=colour, markerfacecolor=fill)
            panel.set(title=tie, xlabel="share of the records selected")
            panel.set_xticks(SHARES, [f"{share:.1%}" for share in SHARES])
            panel.grid(alpha=0.3)
        figure.axes[0].set_ylabel("p50 ms (hollow: recall < 0.95)")
        figure.axes[0].legend()
        figure.savefig(path, dpi=110)


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))
    return f"## {title}\n\n{lines}\n"
