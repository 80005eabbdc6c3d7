"""How are the pictures drawn that the notebook on image search looks through, and how are they shown?

Small pictures of one shape each, in any size, turn and place, on light or dark paper. Pillow draws them,
matplotlib lays them out; nothing is downloaded, and the same seed draws the same pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

COLOURS = {
    "red": (208, 43, 46),
    "orange": (238, 130, 32),
    "yellow": (247, 209, 49),
    "green": (52, 150, 73),
    "blue": (42, 92, 196),
    "purple": (122, 58, 150),
    "pink": (243, 140, 180),
    "brown": (120, 74, 38),
}
SHAPES = (
    *("circle", "ellipse", "square", "rectangle", "triangle"),
    *("star", "cross", "ring", "crescent", "heart"),
)
PAPERS = {"light": (247, 244, 236), "dark": (43, 47, 56)}
SIDE = 160
_FINE = 3  # drawn so many times larger, then reduced: smooth edges


def draw(
    shape: str,
    colour: str,
    *,
    size: float = 0.7,
    turn: float = 0.0,
    at: tuple[float, float] = (0.5, 0.5),
    paper: str = "light",
) -> Image.Image:
    """A picture of `SIDE` × `SIDE` pixels. `size` and `at` are shares of the side, `turn` is in degrees."""
    side = SIDE * _FINE
    stencil = Image.new("L", (side, side))
    _cut(ImageDraw.Draw(stencil), shape, side / 2, side * size / 2)
    stencil = stencil.rotate(turn, resample=Image.Resampling.BICUBIC)
    stencil = ImageChops.offset(stencil, round((at[0] - 0.5) * side), round((at[1] - 0.5) * side))
    shadow = ImageChops.offset(stencil, side // 80, side // 60).filter(ImageFilter.GaussianBlur(side / 90))
    picture = Image.new("RGB", (side, side), PAPERS[paper])
    darker = tuple(int(part * 0.93) for part in PAPERS[paper])
    picture.paste(Image.new("RGB", (side, side), darker), mask=shadow)
    picture.paste(Image.new("RGB", (side, side), COLOURS[colour]), mask=stencil)
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def draw_at_random(shape: str, colour: str, chance: np.random.Generator) -> tuple[Image.Image, str]:
    """A picture in a size, turn and place that chance decides, and the paper it is on."""
    size = chance.uniform(0.42, 0.78)
    room = (1 - size * 1.2) / 2
    at = tuple(0.5 + chance.uniform(-room, room, 2))
    paper = str(chance.choice(list(PAPERS)))
    return draw(shape, colour, size=size, turn=chance.uniform(0, 360), at=at, paper=paper), paper


def _cut(pen: ImageDraw.ImageDraw, shape: str, c: float, r: float) -> None:
    """Draw a shape around (c, c), of radius r, in white."""

    def polygon(*points: tuple[float, float]) -> None:
        pen.polygon([(c + r * x, c + r * y) for x, y in points], fill=255)

    def ellipse(x: float, y: float, rx: float, ry: float, fill: int = 255) -> None:
        pen.ellipse([c + r * (x - rx), c + r * (y - ry), c + r * (x + rx), c + r * (y + ry)], fill=fill)

    match shape:
        case "circle":
            ellipse(0, 0, 0.9, 0.9)
        case "ellipse":
            ellipse(0, 0, 1, 0.56)
        case "square":
            polygon((-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75))
        case "rectangle":
            polygon((-0.95, -0.48), (0.95, -0.48), (0.95, 0.48), (-0.95, 0.48))
        case "triangle":
            polygon(*((np.sin(a), -np.cos(a)) for a in np.radians([0, 120, 240])))
        case "star":
            points = zip(np.radians(range(0, 360, 36)), [1, 0.41] * 5)
            polygon(*((d * np.sin(a), -d * np.cos(a)) for a, d in points))
        case "cross":
            polygon((-0.28, -0.9), (0.28, -0.9), (0.28, 0.9), (-0.28, 0.9))
            polygon((-0.9, -0.28), (0.9, -0.28), (0.9, 0.28), (-0.9, 0.28))
        case "ring":
            ellipse(0, 0, 0.95, 0.95)
            ellipse(0, 0, 0.55, 0.55, fill=0)
        case "crescent":
            ellipse(0, 0, 0.95, 0.95)
            ellipse(0.62, 0, 0.62, 0.62, fill=0)
        case "heart":
            a = np.linspace(0, 2 * np.pi, 120)
            y = 13 * np.cos(a) - 5 * np.cos(2 * a) - 2 * np.cos(3 * a) - np.cos(4 * a)
            polygon(*zip(16 * np.sin(a) ** 3 / 17, -(y + 2.5) / 17))


# --- showing them ------------------------------------------------------------------------------


def contact_sheet(images: Sequence[Any], columns: int = 16) -> None:
    """All pictures side by side."""
    rows = -(-len(images) // columns)
    _, grid = plt.subplots(rows, columns, figsize=(columns * 0.62, rows * 0.62), dpi=80)
    for axes in grid.flat:
        axes.axis("off")
    for axes, image in zip(grid.flat, images):
        axes.imshow(image)
    plt.subplots_adjust(0, 0, 1, 1, wspace=0.06, hspace=0.06)
    plt.show()


def show_nearest(queries: Sequence[Any], found: Any) -> None:
    """One row a query: the query, a picture or words, then what was found, with the distances.

    `found` is the answer of `query(…, include=["data", "distances"])`.
    """
    columns = 1 + max(map(len, found["ids"]))
    size = (columns * 1.25, len(queries) * 1.5)
    _, grid = plt.subplots(len(queries), columns, figsize=size, dpi=90, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for row, query, images, distances in zip(grid, queries, found["data"], found["distances"]):
        _framed(row[0], query)
        for axes, image, distance in zip(row[1:], images, distances):
            axes.imshow(image)
            axes.set_title(f"{distance:.3f}", fontsize=9, color="#555555", pad=3)
    grid[0][0].set_title("asked for", fontsize=9, fontweight="bold", pad=3)
    plt.subplots_adjust(0.01, 0.01, 0.99, 0.92, wspace=0.08, hspace=0.22)
    plt.show()


def _framed(axes: plt.Axes, query: Any) -> None:
    axes.axis("on")
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(linewidth=2.5, color="#222222")
    if isinstance(query, str):
        axes.set_aspect("equal")
        axes.text(0.5, 0.5, query.replace(" ", "\n"), ha="center", va="center", fontsize=11)
    else:
        axes.imshow(query)


def show_numbers(image: Any, names: Sequence[str], numbers: Sequence[float]) -> None:
    """A picture, and its vector as bars with their names."""
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 2.6), dpi=90, width_ratios=[1, 3.4])
    left.imshow(image)
    left.axis("off")
    right.bar(names, numbers, color="#4a6fa5")
    right.set_xticks(range(len(names)), names, rotation=50, ha="right", rotation_mode="anchor")
    right.set(ylim=(0, 1))
    right.spines[["top", "right"]].set_visible(False)
    plt.show()


def save_all(folder: Path, seed: int = 7) -> list[dict[str, str]]:
    """Draw every shape in every colour twice and write the files; say of each where it is and what it is."""
    chance = np.random.default_rng(seed)
    kinds = [(shape, colour) for shape in SHAPES for colour in COLOURS] * 2
    saved = []
    for number, chosen in enumerate(chance.permutation(len(kinds))):
        shape, colour = kinds[chosen]
        image, paper = draw_at_random(shape, colour, chance)
        path = folder / f"{number:03}.png"
        image.save(path)
        saved.append({"id": path.stem, "uri": path.as_uri(), "paper": paper, "kind": f"{colour} {shape}"})
    return saved
