"""What would people rather look at than read?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from bench.bars import OURS, RECALL
from bench.figures import Figures
from bench.filters import SHARES, TIES, Range

_COLOURS = {
    "vicinal": "C0",
    "hnswlib": "C7",
    "zvec": "C2",
    "qdrant-edge": "C4",
    "lancedb": "C1",
    "chroma": "C3",
    "sqlite": "C5",
}
_MARKERS = dict(zip(_COLOURS, "osD^vPX"))
_MEASURES: Sequence[tuple[str, str, str, str]] = (
    ("query", "query", "", "p50_ms"),
    ("filter: random 30 %", "filter", "random 30%", "p50_ms"),
    ("filter: far 11 %", "filter", "far 11%", "p50_ms"),
    ("filter: random 1.5 %", "filter", "random 1.5%", "p50_ms"),
    ("$contains", "document", "$contains", "p50_ms"),
    ("time per row acknowledged", "ingest", "", "rows_per_s"),
    ("until all is indexed", "ingest", "", "indexed_s"),
    ("time per query of a batch", "batch", "", "queries_per_s"),
    ("p95 during ingestion", "busy", "", "busy_p95_ms"),
    ("upsert of 1,000", "write", "", "upsert_ms"),
    ("delete of 1,000", "write", "", "delete_ms"),
    ("open to first answer", "reopen", "", "answer_ms"),
    ("own memory", "reopen", "", "own_mb"),
    ("disk", "reopen", "", "disk_mb"),
)


def by_selectivity(figures: Figures, path: Path) -> bool:
    """One panel a tie, one line an engine; hollow where recall is below the bar. False: nothing to show."""
    engines = [
        e for e in figures.run["engines"] if figures.has(e, "filter", Range("far", 0.11).name, "p50_ms")
    ]
    if not engines:
        return False
    figure = Figure(figsize=(14, 4), layout="constrained")
    places = range(len(SHARES))
    for panel, tie in zip(figure.subplots(1, len(TIES), sharey=True), TIES):
        names = [Range(tie, share).name for share in SHARES]
        for engine in engines:
            times, recalls = (
                [figures.median(engine, "filter", name, figure) for name in names]
                for figure in ("p50_ms", "recall")
            )
            colour = _COLOURS[engine]
            panel.semilogy(places, times, color=colour, label=engine, linewidth=2 if engine == OURS else 1.2)
            for place, time, recall in zip(places, times, recalls):
                fill = colour if recall >= RECALL else "white"
                panel.plot(place, time, "o", color=colour, markerfacecolor=fill)
        panel.set(title=tie, xlabel="share of the records selected")
        panel.set_xticks(places, [f"{share * 100:g}%" for share in SHARES], rotation=45)
        panel.grid(alpha=0.3)
    figure.axes[0].set_ylabel(f"p50 ms (hollow: recall < {RECALL})")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(engines))
    figure.savefig(path, dpi=110)
    return True


def overview(figures: Figures, path: Path) -> bool:
    """One line a measure, one mark an engine: how many times Vicinal's time or space it takes."""
    shown = [(label, _times(figures, *where)) for label, *where in _MEASURES]
    shown = [(label, times) for label, times in shown if times]
    if not shown:
        return False
    figure = Figure(figsize=(9, 0.36 * len(shown) + 1.4), layout="constrained")
    panel = figure.subplots()
    panel.axvline(1, color=_COLOURS[OURS], linewidth=2, label=OURS)
    for engine in figures.run["engines"]:
        points = [(times[engine], place) for place, (_, times) in enumerate(shown) if engine in times]
        if points:
            across, down = zip(*points)
            panel.plot(across, down, _MARKERS[engine], color=_COLOURS[engine], label=engine, alpha=0.85)
    panel.set_xscale("log")
    panel.set_yticks(range(len(shown)), [label for label, _ in shown])
    panel.invert_yaxis()
    panel.grid(alpha=0.3)
    panel.set_xlabel(f"times {OURS}'s (right of the line: slower or larger)")
    figure.legend(loc="outside lower center", ncols=len(figures.run["engines"]))
    figure.savefig(path, dpi=110)
    return True


def growth(series: dict[str, dict[str, list[tuple[int, float]]]], path: Path) -> None:
    """One panel a measure, one line an engine, over the number of rows."""
    figure = Figure(figsize=(11, 3.1 * math.ceil(len(series) / 3)), layout="constrained")
    panels: Any = figure.subplots(math.ceil(len(series) / 3), 3, squeeze=False).flat
    for panel, (title, lines) in zip(panels, series.items()):
        for engine, points in lines.items():
            panel.loglog(*zip(*points), marker="o", color=_COLOURS[engine], label=engine)
        sizes = sorted({size for points in lines.values() for size, _ in points})
        panel.set(title=title, xlabel="thousands of rows")
        panel.set_xticks(sizes, [f"{size / 1000:,g}" for size in sizes], minor=False)
        panel.set_xticks([], minor=True)
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.grid(alpha=0.3, which="both")
    for panel in list(panels):
        panel.set_axis_off()
    handles = {label: h for a in figure.axes for h, label in zip(*a.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=110)


def _times(figures: Figures, workload: str, case: str, name: str) -> dict[str, float]:
    """By engine, how many times ours; of a speed, how many times slower."""
    found = {}
    for engine in figures.run["engines"]:
        theirs, ours = (engine, workload, case, name), (OURS, workload, case, name)
        ratio = figures.ratio(ours, theirs) if name.endswith("per_s") else figures.ratio(theirs, ours)
        if engine != OURS and ratio > 0:
            found[engine] = ratio
    return found
