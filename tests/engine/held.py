"""Which files does this process hold?  Linux says; Windows would let nobody remove them."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path


def held_of(directory: Path) -> set[str]:
    """The names of the files in a directory, and below it, that this process has open or mapped."""
    opened = map(os.path.realpath, Path("/proc/self/fd").iterdir())
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    mapped = (line.split(maxsplit=5)[-1].removesuffix(" (deleted)") for line in lines)
    inside = f"{directory.resolve()}{os.sep}"
    return {Path(file).name for file in chain(opened, mapped) if file.startswith(inside)}
