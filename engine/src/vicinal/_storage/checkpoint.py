"""How does a derived file survive a restart without ever being believed wrongly?

A checkpoint is a file that can be rebuilt, and a manifest that names it, its checksum and what it
covers. The file gets a name of its own and is synced before the manifest is replaced; a crash between
the two leaves a file that nobody names. Whatever does not agree with its manifest is ignored.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from vicinal._storage.files import MISSING, Files, translated

_BLOCK = 1 << 20
_ABANDONED_S = 3600.0


def save(
    directory: Path, name: str, covered: dict[str, Any], write: Callable[[Path], object], files: Files
) -> None:
    """Let `write` make the file, then name it in `<name>.json` together with what it covers."""
    with translated(directory):
        directory.mkdir(exist_ok=True)  # not its parents: the collection may just have been deleted
    path = directory / f"{name}-{uuid.uuid4().hex}"
    written = directory / f"{name}-{uuid.uuid4().hex}.json"
    previous = _manifest(directory, name).get("file", "")
    try:
        write(path)
        files.sync_path(path)
        files.step("checkpoint: file written")
        entry = {"file": path.name, "checksum": checksum(path), "covers": covered}
        written.write_text(json.dumps({**entry, "seal": _seal(entry)}))
        files.sync_path(written)
        files.replace(written, directory / f"{name}.json")
    except BaseException:
        files.discard(written)
        files.discard(path)
        raise
    files.step("checkpoint: manifest replaced")
    if str(previous).startswith(f"{name}-"):
        files.discard(directory / Path(str(previous)).name)
    _sweep(directory, name, path, files)


def discard(directory: Path, name: str, files: Files) -> None:
    """Remove a checkpoint, as far as the platform allows; not a file that is just being written."""
    file = str(_manifest(directory, name).get("file", ""))
    files.discard(directory / f"{name}.json")
    if file.startswith(f"{name}-"):
        files.discard(directory / Path(file).name)


def _sweep(directory: Path, name: str, current: Path, files: Files) -> None:
    """Remove what crashes have left: a file that another process is writing was touched within the hour."""
    oldest = time.time() - _ABANDONED_S
    for leftover in files.find(directory, f"{name}-*"):
        with suppress(OSError):
            if leftover != current and leftover.stat().st_mtime < oldest:
                files.discard(leftover)


def _manifest(directory: Path, name: str) -> dict[str, Any]:
    return _told(directory, name) or {}


def _told(directory: Path, name: str) -> dict[str, Any] | None:
    """What a manifest says; empty when there is none that can be understood, None when it cannot be read."""
    try:
        return dict(json.loads((directory / f"{name}.json").read_text()))
    except OSError as error:
        return {} if error.errno in MISSING else None
    except (ValueError, TypeError, RecursionError):
        return {}


def load(directory: Path, name: str) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint's file and what it covers; None when there is none that can be believed."""
    try:
        return _believed(directory, _manifest(directory, name))
    except OSError:
        return None


def _believed(directory: Path, entry: dict[str, Any]) -> tuple[Path, dict[str, Any]] | None:
    """The file that a manifest names, and what it covers; None when either is not what was written, `OSError`
    when that cannot be told."""
    try:
        path = directory / Path(entry["file"]).name
        if entry.pop("seal") != _seal(entry) or checksum(path) != entry["checksum"]:
            return None
        return path, dict(entry["covers"])
    except (ValueError, KeyError, TypeError):
        return None


def copy(directory: Path, target: Path, name: str, files: Files) -> None:
    """Let another directory have the same checkpoint, if there is one that can be believed."""
    found = load(directory, name)
    if found is not None:
        path, covered = found
        save(target, name, covered, partial(shutil.copyfile, path), files)


def covers(directory: Path, name: str) -> dict[str, Any]:
    """What the checkpoint says that it covers, without reading its file; empty when there is none."""
    return known(directory, name) or {}


def known(directory: Path, name: str) -> dict[str, Any] | None:
    """The same; None when that cannot be told now, but perhaps later."""
    entry = _told(directory, name)
    if entry is None:
        return None
    try:
        return dict(entry["covers"]) if entry.pop("seal") == _seal(entry) else {}
    except (KeyError, TypeError, ValueError):
        return {}


def check(directory: Path, name: str) -> list[str]:
    """A checkpoint that is there but cannot be believed, or not be read: it costs time, and nothing else."""
    manifest = directory / f"{name}.json"
    while os.path.exists(manifest):  # one that cannot be reached is none
        before = _told(directory, name)
        problem = "cannot be read; it is ignored" if before is None else _problem(directory, dict(before))
        if problem is None:
            return []
        if _told(directory, name) == before:  # else it was being replaced
            return [f"checkpoint {name}: {problem}"]
    return []


def _problem(directory: Path, entry: dict[str, Any]) -> str | None:
    """Why the checkpoint of a manifest is not believed; None when it is."""
    try:
        if _believed(directory, entry) is not None:
            return None
    except OSError as error:
        if error.errno not in MISSING:
            return f"cannot be read ({error.strerror}); it is ignored"
    return "damaged; it is ignored and will be made anew"


def _seal(entry: dict[str, Any]) -> int:
    """CRC-32 of a manifest's own content."""
    return zlib.crc32(json.dumps(entry, sort_keys=True).encode())


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            value = zlib.crc32(block, value)
    return value
