"""How does a derived file survive a restart without ever being believed wrongly?

A checkpoint is a file that can be rebuilt, and a manifest that names it, its checksum and what it
covers. The file gets a name of its own and is synced before the manifest is replaced; a crash between
the two leaves a file that nobody names. Whatever does not agree with its manifest is ignored.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vicinal._storage.files import Files

_BLOCK = 1 << 20


def save(
    directory: Path, name: str, covers: dict[str, Any], write: Callable[[Path], None], files: Files
) -> None:
    """Let `write` make the file, then name it in `<name>.json` together with what it covers."""
    files.make_directory(directory)
    path = directory / f"{name}-{uuid.uuid4().hex}"
    manifest = directory / f"{name}.json"
    written = directory / f"{name}-{uuid.uuid4().hex}.json"
    try:
        write(path)
        files.sync_path(path)
        files.step("checkpoint: file written")
        entry = {"file": path.name, "checksum": checksum(path), "covers": covers}
        written.write_text(json.dumps(entry))
        files.sync_path(written)
        files.replace(written, manifest)
    except BaseException:
        files.remove(written)
        files.remove(path)
        raise
    files.step("checkpoint: manifest replaced")
    for old in directory.glob(f"{name}-*"):
        if old != path and not old.name.endswith(".json"):
            files.remove(old)


def load(directory: Path, name: str) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint's file and what it covers; None when there is none that can be believed."""
    try:
        entry = json.loads((directory / f"{name}.json").read_text())
        path = directory / entry["file"]
        if path.parent != directory or checksum(path) != entry["checksum"]:
            return None
        return path, dict(entry["covers"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            value = zlib.crc32(block, value)
    return value
