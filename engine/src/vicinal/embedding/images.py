"""How do pictures get from files to an embedding function?

`ImageLoader` turns paths and `file://` URIs into arrays; `image_column` does the same for what callers
pass as images. Pillow (`vicinal[images]`) is imported when the first file is opened. The network is
never used: download first, or write a data loader of your own, which is any callable from a list of
URIs to as many arrays.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vicinal._given import whole
from vicinal._machine import cores
from vicinal._optional import package
from vicinal.errors import InvalidArgumentError
from vicinal.types import Image

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # a TypeVar's default came with Python 3.13

    Loaded_co = TypeVar("Loaded_co", covariant=True, default=Sequence[Image | None])
else:
    from typing import TypeVar

    Loaded_co = TypeVar("Loaded_co", covariant=True)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?=//)|(data):", re.ASCII)  # C:\ is a drive


@runtime_checkable
class DataLoader(Protocol[Loaded_co]):
    """Reads what URIs name: a callable from n URIs to n pictures, None where there is no URI."""

    def __call__(self, uris: Sequence[str | None]) -> Loaded_co:
        """One array of shape (height, width, 3), uint8, for each URI; None for None."""


class ImageLoader:
    """Loads pictures from paths and `file://` URIs, several at a time. Needs `vicinal[images]`.

    Turned upright as their EXIF says; greyscale becomes RGB, and transparent pictures lie on white.

    Args:
        max_workers: How many files are read at once; as many as there are cores to use unless given.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        given = cores() if max_workers is None else max_workers
        self._workers = whole(given, "max_workers", 1)

    def __call__(self, uris: Sequence[str | None]) -> list[NDArray[np.uint8] | None]:
        """One array of shape (height, width, 3), uint8, for each URI; None for None.

        Raises `InvalidArgumentError` for a file that is missing or no picture, and for any other URI.
        """
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=self._workers) as threads:
            return list(threads.map(_load, range(len(uris)), uris))


def image_column(images: Any, argument: str = "images") -> list[Image]:
    """What a caller passes as images, as a list of arrays of two or three dimensions.

    One picture stands for a list of one: an array of shape (height, width) or (height, width, channels),
    or a Pillow image, which becomes RGB as from a file. Raises `InvalidArgumentError` for anything else.
    """
    if isinstance(images, np.ndarray):
        alone = images.ndim in (0, 2, 3)
    else:
        alone = _is_pillow(images) or hasattr(images, "__array_interface__")
    images = [images] if alone else images
    if isinstance(images, str) or not isinstance(images, Iterable):
        raise InvalidArgumentError(
            f"Expected {argument} to be arrays of shape (height, width, 3), got {type(images).__name__}"
        )
    return [_array(image, f"{argument}[{i}]") for i, image in enumerate(images)]


def rgb(image: Image, argument: str = "image") -> NDArray[np.uint8]:
    """A picture as uint8 RGB, shape (height, width, 3): from greyscale, with alpha, or floats of 0 to 1."""
    array = _array(image, argument)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        shades = np.clip(np.nan_to_num(array.astype(np.float64)), 0, 255)
        # Floats up to 1 are matplotlib's convention; anything else counts to 255.
        counts_to_one = array.dtype.kind == "f" and shades.max() <= 1
        array = np.rint(shades * 255 if counts_to_one else shades).astype(np.uint8)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.shape[2] in (2, 4):
        alpha = array[:, :, -1:].astype(np.float64) / 255
        array = np.rint(array[:, :, :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def png_base64(image: Image) -> str:
    """A picture as a PNG file in base64, as providers want it."""
    import base64
    import io

    buffer = io.BytesIO()
    pillow_image().fromarray(rgb(image)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def data_uri(image: Image) -> str:
    """A picture as a `data:` URI."""
    return f"data:image/png;base64,{png_base64(image)}"


def _array(image: Any, argument: str) -> Image:
    array = _upright(image, argument) if _is_pillow(image) else _numbers(image)
    if array.dtype.kind not in "buif":
        raise InvalidArgumentError(f"{argument}: expected an array of numbers, got {type(image).__name__}")
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] > 4):
        raise InvalidArgumentError(
            f"{argument}: expected shape (height, width) or (height, width, 1 to 4 channels), "
            f"got {array.shape}"
        )
    return array


def _is_pillow(image: Any) -> bool:
    """Whether this is one of Pillow's images, which are there only once Pillow was imported."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(image, pillow.Image)


def _numbers(image: Any) -> Image:
    try:
        return np.asarray(image)
    except ValueError:  # lists of different lengths, or deeper than an array can be
        return np.asarray(None)


def _upright(image: Any, argument: str) -> NDArray[np.uint8]:
    """One of Pillow's images as RGB, whatever its mode; the palette of a P, say, is no shade."""
    from PIL import ImageOps

    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode == "F":
            return rgb(np.asarray(upright), argument)
        if upright.mode.startswith("I"):  # 16 bits, of which Pillow would keep the lower half
            shades = np.asarray(upright).astype(np.float64)
            return rgb(np.rint(shades / (257 if shades.max() > 255 else 1)).astype(np.int64), argument)
        transparent = upright.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in upright.info
        return rgb(np.asarray(upright.convert("RGBA" if transparent else "RGB")), argument)
    except InvalidArgumentError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever they meet
        raise InvalidArgumentError(f"{argument} cannot be read as a picture: {error}") from error


def _load(item: int, uri: str | None) -> NDArray[np.uint8] | None:
    if uri is None:
        return None
    pillow = pillow_image()
    argument = f"uris[{item}]"
    path = _path(uri, argument)
    try:
        opened = pillow.open(path)
    except Exception as error:  # Pillow's decoders raise whatever they meet
        raise InvalidArgumentError(f"{argument}: {path} cannot be read as a picture: {error}") from error
    with opened:
        return _upright(opened, f"{argument}: {path}")


def _path(uri: str, argument: str) -> str:
    if not isinstance(uri, (str, os.PathLike)):
        raise InvalidArgumentError(f"{argument}: expected a path or a file:// URI, got {uri!r}")
    uri = os.fspath(uri)
    if _SCHEME.match(uri) is None:
        return uri
    from urllib.parse import urlsplit
    from urllib.request import url2pathname  # some forty modules, of little use to most programs

    try:
        parts = urlsplit(uri)
    except ValueError as error:  # a host in brackets that is no address
        raise InvalidArgumentError(f"{argument}: {uri[:80]!r} is no URI: {error}") from None
    if parts.scheme.lower() != "file" or parts.netloc not in ("", "localhost"):
        raise InvalidArgumentError(
            f"{argument}: ImageLoader reads local files only, paths and file:// URIs, and got "
            f"{uri[:80]!r}. Download the picture first, or pass a data_loader of your own"
        )
    return url2pathname(parts.path)


def pillow_image() -> Any:
    """The module `PIL.Image`."""
    return package("PIL.Image", name="pillow", extra="images", feature="Reading pictures from files")
