"""How is a map of embeddings drawn so that one can read it?

The notebooks flatten embeddings to two dimensions themselves; here is only the drawing. Names of
neighbours stand in a column beside the map, joined to their points by lines: neighbours lie close
together, and names written next to them would cover each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#882255")


def draw_map(points: np.ndarray, modules: Sequence[str], title: str) -> Axes:
    """One dot a record, coloured by module. `points` has shape (n, 2), `modules` n names."""
    names = sorted(set(modules))
    if len(names) > len(COLOURS):
        raise ValueError(f"{len(names)} modules; {len(COLOURS)} colours can be told apart")
    _, axes = plt.subplots(figsize=(8, 5.5), dpi=100)
    for name, colour in zip(names, COLOURS):
        of_module = points[np.array(modules) == name]
        axes.scatter(*of_module.T, s=14, color=colour, alpha=0.7, linewidths=0, label=name)
    axes.set(xticks=[], yticks=[])  # directions of a PCA have no unit
    axes.set_title(title, fontsize=12)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=len(names),
        frameon=False,
        markerscale=2,
        handletextpad=0,
        columnspacing=1,
    )
    return axes


def mark_query(axes: Axes, point: np.ndarray) -> None:
    """A star where the question lies."""
    axes.scatter(*point, marker="*", s=320, color="black", edgecolors="white", zorder=4)


def mark_neighbours(
    axes: Axes,
    points: np.ndarray,
    names: Sequence[str],
    side: Literal["left", "right"] | None = None,
    heading: str = "",
) -> None:
    """A ring around each neighbour, and its rank and name in a column beside the map.

    `side` is where the column stands; the nearer side unless given.
    """
    axes.scatter(*points.T, s=70, facecolors="none", edgecolors="black", linewidths=1.2, zorder=3)
    inside = axes.transAxes.inverted().transform(axes.transData.transform(points))
    if side is None:
        side = "left" if inside[:, 0].mean() < 0.5 else "right"
    x, align, end = (-0.03, "right", 1) if side == "left" else (1.03, "left", 0)
    # Centred on the points, as far as the height of the map allows, from the highest point to the lowest.
    half = min(0.42, 0.035 * len(names))
    middle = float(np.clip(inside[:, 1].mean(), half, 0.93 - half))
    rows = np.linspace(middle + half, middle - half, len(names)) if len(names) > 1 else [middle]
    line = {"arrowstyle": "-", "color": "#888888", "linewidth": 0.7, "relpos": (end, 0.5), "shrinkB": 4}
    for y, i in zip(rows, np.argsort(-points[:, 1], kind="stable")):
        axes.annotate(
            f"{names[i]}  {i + 1}" if side == "left" else f"{i + 1}  {names[i]}",
            xy=points[i],
            xytext=(x, y),
            textcoords="axes fraction",
            ha=align,
            va="center",
            arrowprops=line,
        )
    axes.text(x, 0.98, heading, transform=axes.transAxes, ha=align, va="center", fontweight="bold")
