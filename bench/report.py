"""How do measurements become a page and plots?

All is made from the results file alone, so a page can be rendered again without measuring again. Every
figure is the median over the rounds; every ratio the median of the ratios within a round.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bench import tables
from bench.figures import Figures
from bench.plots import by_selectivity, overview

_METHOD = Path(__file__).with_name("method.md")


class Report:
    """A results file, as a page."""

    def __init__(self, path: Path) -> None:
        self.path, self.data = path, json.loads(path.read_text(encoding="utf-8"))
        self.figures = Figures(self.data)

    def tables(self) -> Iterator[str]:
        """In reading order, as Markdown."""
        return tables.tables(self.figures, self.data["overlap"])

    def render(self) -> Path:
        """Write the page, and the plots that it shows, beside the results."""
        page, plot = self.path.with_suffix(".md"), self.path.with_suffix(".png")
        other = plot.with_name(f"{plot.stem}-overview.png")
        shown = []
        if by_selectivity(self.figures, plot):
            shown.append(f"![p50 by selectivity]({plot.name})\n")
        if overview(self.figures, other):
            shown.append(f"![How many times Vicinal's]({other.name})\n")
        skipped = ", ".join(f"{name} ({reason})" for name, reason in self.data["skipped"].items())
        run = self.data["run"] | {name: ",".join(self.data["run"][name]) for name in ("engines", "workloads")}
        method = _METHOD.read_text(encoding="utf-8").format(
            **self.data | {"run": run},
            file=self.path.name,
            left_out=f" Left out, as they could not be imported: {skipped}." if skipped else "",
        )
        page.write_text("\n".join([method, *shown, *self.tables()]), encoding="utf-8")
        return page
