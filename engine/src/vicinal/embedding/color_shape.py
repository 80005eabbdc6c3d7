"""How are pictures compared without any model, for demonstrations and tests?

By the colours and the shape of what stands before the background, as 21 numbers that one can read: how
much of each of eleven colours, and how like each of ten shapes the largest object is. Deterministic,
offline, a millisecond or two a picture; numpy and Pillow (`vicinal[images]`) only. Good for drawings,
icons, logos and flags on a plain background. It sees no meaning: for photographs use OpenCLIP.

Words of colours and shapes stand where a picture of just them would stand, so "red circle" finds red
circles; all other words are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal.embedding.images import pillow_image, rgb
from vicinal.embedding.protocol import EmbeddingFunction
from vicinal.embedding.registry import register_embedding_function
from vicinal.types import Embeddable, Image, Space, Vectors

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Typical members of the eleven basic colour terms of English (Berlin and Kay), as sRGB.
COLOURS: dict[str, list[tuple[int, int, int]]] = {
    "black": [(15, 15, 15)],
    "white": [(250, 250, 250)],
    "grey": [(128, 128, 128), (190, 190, 190), (80, 80, 80)],
    "red": [(220, 30, 35), (160, 15, 25)],
    "orange": [(245, 130, 20)],
    "yellow": [(250, 220, 30)],
    "green": [(40, 150, 60), (120, 200, 80), (15, 85, 40)],
    "blue": [(35, 80, 200), (90, 170, 235), (15, 30, 110)],
    "purple": [(125, 45, 150), (160, 110, 210)],
    "pink": [(250, 145, 185), (240, 90, 160)],
    "brown": [(125, 75, 35), (90, 50, 25)],
}
_WORDS = {
    "gray": "grey", "violet": "purple", "scarlet": "red", "golden": "yellow", "gold": "yellow",
    "disc": "circle", "disk": "circle", "dot": "circle", "ball": "circle", "round": "circle",
    "oval": "ellipse", "moon": "crescent", "plus": "cross", "donut": "ring", "diamond": "square",
    "crosse": "cross",  # what is left of its plural
}  # fmt: skip
_SIDE = 64  # pictures are looked at in this size
_DIFFERENT = 18.0  # in CIELAB, where 2 is just visible
_HARMONICS = 8
_ANGLES = 72
_COLOUR_SOFTNESS, _SHAPE_SOFTNESS = 12.0, 0.06


@register_embedding_function
class ColorShapeEmbeddingFunction(EmbeddingFunction[Embeddable]):
    """Pictures by colour and shape, 21 dimensions of unit length. Needs `vicinal[images]`, and no model.

    Example:
        >>> import numpy as np
        >>> from vicinal.embedding import ColorShapeEmbeddingFunction
        >>> picture = np.full((60, 60, 3), 255, np.uint8)
        >>> picture[20:40, 20:40] = (200, 20, 30)
        >>> embed = ColorShapeEmbeddingFunction()
        >>> near, far = embed(["red square", "blue circle"]) @ embed([picture])[0]
        >>> bool(near > 0.9 and far < 0.2)
        True
    """

    axes: tuple[str, ...] = ()
    """What each component stands for: eleven colours, then ten shapes."""

    def __call__(self, input: Embeddable) -> Vectors:
        vectors = [_of_words(item) if isinstance(item, str) else _of_picture(item) for item in input]
        return np.array(vectors, dtype=np.float32).reshape(len(vectors), len(self.axes))

    def supports_images(self) -> bool | None:
        return True

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def name() -> str:
        return "color_shape"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction[Any]:  # noqa: ARG004 - it has none
        return ColorShapeEmbeddingFunction()


def _of_words(text: str) -> Floats:
    words = re.findall(r"[a-z]+", text.lower())
    known = [_WORDS.get(word, word) for word in (*words, *(w[:-1] for w in words if w.endswith("s")))]
    colours = np.array([float(name in known) for name in COLOURS])
    shapes = np.array([float(name in known) for name in SHAPES])
    return _joined(colours, shapes)


def _of_picture(image: Image) -> Floats:
    lab = _lab(_small(image))
    mask = _foreground(lab)
    colours = _colour_shares(lab[mask] if mask is not None else lab.reshape(-1, 3))
    shapes = np.zeros(len(SHAPES)) if mask is None else _likeness(_outline(_largest(mask)))
    return _joined(colours, shapes)


def _joined(colours: Floats, shapes: Floats) -> Floats:
    """Colours and shapes with equal weight, as one vector of unit length (0 where nothing was seen)."""
    parts = [part / (np.linalg.norm(part) or 1.0) for part in (colours, shapes)]
    both = np.concatenate(parts)
    return both / (np.linalg.norm(both) or 1.0)


# --- colours -----------------------------------------------------------------------------------


def _small(image: Image) -> NDArray[np.uint8]:
    """The picture as RGB, its longer side `_SIDE` pixels long."""
    picture = pillow_image().fromarray(rgb(image))
    scale = _SIDE / max(picture.size)
    size = [max(1, round(length * scale)) for length in picture.size]
    return np.asarray(picture.resize(size, pillow_image().Resampling.BOX))


def _lab(pixels: NDArray[Any]) -> Floats:
    """sRGB (0 to 255) to CIELAB, in which distances are differences that one sees. Source: CIE 15:2004."""
    share = np.asarray(pixels, dtype=np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.moveaxis(linear @ to_xyz.T / [0.9505, 1.0, 1.089], -1, 0)
    x, y, z = (np.where(v > 0.008856, np.cbrt(v), 7.787 * v + 16 / 116) for v in (x, y, z))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _foreground(lab: Floats) -> Mask | None:
    """Which pixels differ from the background, the colour of most of the border; None without one."""
    border = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    background = np.median(border, axis=0)
    if np.mean(np.linalg.norm(border - background, axis=1) < _DIFFERENT) < 0.7:
        return None
    mask: Mask = np.linalg.norm(lab - background, axis=2) > _DIFFERENT
    return mask if mask.sum() >= 12 else None


def _colour_shares(lab: Floats) -> Floats:
    """How much of each colour there is; a pixel between two colours counts for both."""
    distances = np.stack(
        [
            np.min([np.linalg.norm(lab - _lab(np.array(one)), axis=1) for one in members], axis=0)
            for members in COLOURS.values()
        ],
        axis=1,
    )
    weights = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / _COLOUR_SOFTNESS)
    weights = weights**2 / (weights**2).sum(axis=1, keepdims=True)
    return np.asarray(weights.mean(axis=0))


# --- shapes ------------------------------------------------------------------------------------


def _largest(mask: Mask) -> Mask:
    """The largest object: pixels that touch each other."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:  # every pixel takes the largest number around it until none changes
        padded = np.pad(labels, 1)
        spread = np.max(
            [padded[1:-1, 1:-1], padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]],
            axis=0,
        )
        spread = np.where(mask, spread, 0)
        if np.array_equal(spread, labels):
            break
        labels = spread
    numbers, counts = np.unique(labels[mask], return_counts=True)
    return np.asarray(labels == numbers[np.argmax(counts)])


def _outline(mask: Mask) -> Floats:
    """What stays of a shape when it is moved, turned and scaled.

    The radius by angle, seen from the centre, as the sizes of its harmonics (a triangle has the third,
    a square the fourth), and the share of the area inside that is empty.
    """
    y, x = np.nonzero(mask)
    dx, dy = x - x.mean(), y - y.mean()
    radius = np.hypot(dx, dy) + 0.5
    angle = ((np.arctan2(dy, dx) / (2 * np.pi) + 0.5) * _ANGLES).astype(int) % _ANGLES
    outer = np.zeros(_ANGLES)
    np.maximum.at(outer, angle, radius)
    seen = np.flatnonzero(outer)
    outer = np.interp(np.arange(_ANGLES), seen, outer[seen], period=_ANGLES)
    harmonics = np.abs(np.fft.rfft(outer))[1 : _HARMONICS + 1] / outer.sum()
    hollow = 1 - len(x) / (0.5 * 2 * np.pi * np.mean(outer**2))
    return np.append(harmonics, 0.3 * max(hollow, 0.0))


def _likeness(outline: Floats) -> Floats:
    """How like each shape: 1 for the same, near 0 for a very different one."""
    distances = np.linalg.norm(_prototypes() - outline, axis=1)
    return np.asarray(np.exp(-((distances / _SHAPE_SOFTNESS) ** 2)))


def _star(x: Floats, y: Floats) -> Mask:
    angle = (np.arctan2(x, -y) / (2 * np.pi) * 5) % 1  # a point up
    tip, notch = np.array([0.9, 0.0]), 0.36 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)])
    turn = np.minimum(angle, 1 - angle) * 2 * np.pi / 5
    px, py = np.hypot(x, y) * np.cos(turn), np.hypot(x, y) * np.sin(turn)
    side = (notch[0] - tip[0]) * (py - tip[1]) - (notch[1] - tip[1]) * (px - tip[0])
    return np.asarray(side > 0)


SHAPES: dict[str, Callable[[Floats, Floats], Mask]] = {
    "circle": lambda x, y: np.hypot(x, y) < 0.8,
    "ellipse": lambda x, y: np.hypot(x / 0.9, y / 0.5) < 1,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) < 0.7,
    "rectangle": lambda x, y: (abs(x) < 0.9) & (abs(y) < 0.45),
    "triangle": lambda x, y: (y < 0.5) & (abs(x) < (y + 0.9) * 0.577),
    "star": _star,
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) < 0.25) & (np.maximum(abs(x), abs(y)) < 0.85),
    "ring": lambda x, y: (np.hypot(x, y) < 0.85) & (np.hypot(x, y) > 0.5),
    "crescent": lambda x, y: (np.hypot(x, y) < 0.9) & (np.hypot(x - 0.65, y) > 0.55),
    "heart": lambda x, y: (1.2 * x) ** 2 + (-1.2 * y + 0.1 - np.sqrt(abs(1.2 * x)) * 0.75) ** 2 < 0.8,
}
"""Shapes as conditions on x to the right and y downwards, each from −1 to 1."""

ColorShapeEmbeddingFunction.axes = (*COLOURS, *SHAPES)


@lru_cache(maxsize=1)
def _prototypes() -> Floats:
    """The outline of every shape."""
    y, x = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j]
    return np.array([_outline(np.asarray(inside(x, y))) for inside in SHAPES.values()])
