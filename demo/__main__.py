"""How is the demo started?

`python -m demo`, or `make demo ARGS='…'` with the same arguments:

    (nothing)                  build or open the collection, ask the shown questions
    --ask "…"                  ask your own
    --path DIR [--ask "…"]     the same over a folder of .md, .rst, .txt and .py files
    --evaluate                 hit@5 over questions about Python itself
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def main(
    argv: Sequence[str] | None = None,
    environment: Mapping[str, str] = os.environ,
    console: Console | None = None,
) -> int:
    """Run the demo. Returns 0, 1 if a part of it failed, 2 for a wrong argument or if what is said cannot be
    written, 130 if interrupted."""
    try:
        try:
            from . import command  # here, for it takes a while, in which Ctrl-C may come

            return command.main(argv, environment, console)
        except KeyboardInterrupt:
            said = "\nInterrupted. What was stored stays; the next run goes on from there."
            print(said, file=console.file if console else sys.stdout, flush=True)
            return 130
    except OSError as error:  # of the output; a database's and a folder's have been said
        _give_up(error)
        return 2


def _give_up(error: OSError) -> None:
    """Say why nothing more is written, unless nobody reads any more."""
    if not isinstance(error, BrokenPipeError):
        with suppress(OSError):
            print(f"Error: {error}", file=sys.stderr, flush=True)
    if sys.stdout is not None:  # the interpreter's last flush would fail, and change the exit code
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
