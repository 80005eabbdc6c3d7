"""How does `vicinal import` bring a Chroma directory in?

What was done is printed on stdout, one line a collection; how far it has come on stderr, if that is a
terminal.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from vicinal.cli.lines import one_line
from vicinal.config import DEFAULT_DATABASE, DEFAULT_TENANT
from vicinal.errors import InvalidArgumentError

if TYPE_CHECKING:
    from vicinal._chroma.move import Moved

_SHOWN_MAX = 5


def add_command(commands: Any) -> None:
    """Let the parser know the command."""
    moving = commands.add_parser("import", help="copy the collections of a Chroma directory")
    moving.add_argument(
        "source", help="chroma://PATH, the directory that holds chroma.sqlite3; it is only read"
    )
    moving.add_argument(
        "--into", required=True, metavar="DIRECTORY", help="a Vicinal database, made if need be"
    )
    moving.add_argument(
        "--collection", action="append", metavar="NAME", help="this one only; may be given several times"
    )
    moving.add_argument(
        "--skip-existing", action="store_true", help="leave collections alone whose names are taken"
    )
    moving.set_defaults(command=_import)


def _import(options: argparse.Namespace) -> int:
    from vicinal._chroma.move import SCHEME, import_directory  # which the other commands need not load

    if not options.source.startswith(SCHEME):
        raise InvalidArgumentError(f"source: expected chroma://PATH, got {options.source!r}")
    shown = _Shown()
    try:
        moved = import_directory(
            options.source,
            options.into,
            collections=options.collection,
            skip_existing=options.skip_existing,
            progress=shown if sys.stderr is not None and sys.stderr.isatty() else None,
        )
    finally:
        shown.end()
    for one in moved:
        home = (one.tenant, one.database) == (DEFAULT_TENANT, DEFAULT_DATABASE)
        name = one.name if home else f"{one.tenant}/{one.database}/{one.name}"
        print(one_line(f"{name}: {_outcome(one)}"))
        for problem, ids in _left_out(one).items():
            some = ", ".join(id or '""' for id in ids[:_SHOWN_MAX]) + (", …" if len(ids) > _SHOWN_MAX else "")
            print(one_line(f"{name}: {len(ids):,} records left out, {problem}: {some}"))
    return int(any(one.disturbed or one.damaged or one.lost or one.refused for one in moved))


def _outcome(one: Moved) -> str:
    if one.disturbed:
        return "left out, because the source was written to meanwhile. Stop what uses it and import again"
    if one.damaged is not None:
        return f"left out, because what Chroma has of it is damaged: {one.damaged}"
    return "exists, skipped" if one.skipped else f"{one.records:,} records"


def _left_out(one: Moved) -> dict[str, list[str]]:
    """Why records were left out, and their ids."""
    found = {"whose vectors Chroma has lost": list(one.lost)} if one.lost else {}
    for id, reason in one.refused.items():
        found.setdefault(f"which Vicinal refuses ({reason})", []).append(id)
    return found


class _Shown:
    """The line of progress on a terminal, which each collection has for itself."""

    _name: str | None = None

    def __call__(self, name: str, written: int, expected: int) -> None:
        if self._name not in (None, name):
            self.end()
        self._name = name
        line = one_line(f"{name}: {written:,} of {expected:,} records")
        print(f"\r{line}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Let what follows have a line of its own."""
        if self._name is not None:
            print(file=sys.stderr, flush=True)
        self._name = None
