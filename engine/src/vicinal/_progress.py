"""How far is it?

Shown while something long runs, by `rich` when it is installed or by a function of the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Union

from vicinal._optional import package
from vicinal.errors import ArgumentTypeError

Report = Callable[[int, int], object]
"""Told how much is done, and of how much."""
Progress = Union[bool, Report]

_EVERY_S = 0.2


@contextmanager
def shown(progress: Progress, measure: Callable[[], tuple[int, int]]) -> Iterator[None]:
    """Report `measure()`, (done, of how much), a few times a second while the block runs, and at its end."""
    if progress is False:
        yield
        return
    if not callable(progress) and progress is not True:
        raise ArgumentTypeError(argument="progress", expected="a bool or a function", got=progress)
    with _bar() if progress is True else _called(progress) as report:
        ended = Event()

        def watch() -> None:
            while not ended.wait(_EVERY_S):
                report(*measure())

        watcher = Thread(target=watch, name="vicinal-progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
        report(*measure())


@contextmanager
def _called(report: Report) -> Iterator[Report]:
    yield report


@contextmanager
def _bar() -> Iterator[Report]:
    rich = package("rich.progress", name="rich", extra="progress", feature="progress=True")
    with rich.Progress() as bar:
        task = bar.add_task("Indexing", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
