"""What does the user see?

Everything that is printed, by rich: progress while a collection is filled, then for each question
the entries with their scores, what a filter or MMR changed, the answer, its sources and the time it
took.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from .asking import Answer, Found
from .evaluate import Evaluation, rank_in
from .library import Filled, OnProgress
from .questions import Question

_STAGES = {"reading": "reading files", "embedding": "embedding entries", "storing": "storing entries"}
# A file or a pipe has no width of its own.
_WIDTH_UNLESS_TERMINAL = 110
_ID_WIDTH_SHARE = 0.45
_ANSWER_CHARS_MAX = 200


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would leave with a code of its own


def make_console() -> Console:
    """A console on stdout that shows as an escape what stdout's encoding cannot hold, as of a file's name."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = _Console(highlight=False)
    return console if console.is_terminal else _Console(highlight=False, width=_WIDTH_UNLESS_TERMINAL)


@contextmanager
def progress(console: Console) -> Iterator[OnProgress]:
    """Progress bars, one a stage, each appearing when its stage begins."""
    columns = (TextColumn("  {task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars = Progress(*columns, console=console)
    tasks = {stage: bars.add_task(text, start=False, visible=False) for stage, text in _STAGES.items()}

    def on_progress(stage: str, done: int, total: int) -> None:
        bars.start()  # not before there is progress: a second run has none to show
        bars.start_task(tasks[stage])
        bars.update(tasks[stage], completed=done, total=total, visible=True)

    try:
        yield on_progress
    finally:
        bars.stop()


def show_filled(console: Console, filled: Filled, what: str, data: Path, seconds: float) -> None:
    records = filled.collection.count()
    console.print(Text(f"{records:,} entries: {what}", style="bold"))
    done = f"{filled.embedded:,} embedded" if filled.embedded else "nothing to embed"
    done += f", {filled.removed:,} removed" if filled.removed else ""
    console.print(Text(f"{done} in {seconds:.1f} s, kept in {data}", style="dim"))
    for skip in filled.skipped:
        console.print(Text(f"skipped {skip.file}: {skip.reason}", style="yellow"))


def show_question(console: Console, number: int, question: Question) -> None:
    manner: list[str] = [question.framework]
    manner += [f"filter {' and '.join(map(str, question.filter))}"] if question.filter else []
    manner += [f"MMR λ = {question.mmr}"] if question.mmr is not None else []
    console.print()
    console.print(Rule(Text(f"{number} · {' · '.join(manner)}"), align="left", style="cyan"))
    console.print(Text(question.text, style="bold"))


def show_answer(console: Console, answer: Answer, writer: str, comparison: str) -> None:
    if answer.found:
        console.print(_table(answer.found, int(_ID_WIDTH_SHARE * console.width)))
    else:
        console.print("  [yellow]No entry passes the filter.[/]")
    console.print(Text.assemble(("Answer", "bold green"), " ", (f"({writer})", "dim")))
    console.print(Padding(Text(answer.text), (0, 0, 0, 2), expand=False))
    sources = ", ".join(f"[{number}] {place_of(entry)}" for number, entry in answer.sources) or "none"
    console.print(Text.assemble(("Sources ", "bold green"), sources))
    console.print(
        Text(
            f"{1000 * (answer.search_s + answer.answer_s):.0f} ms "
            f"(search {1000 * answer.search_s:.0f} ms, answer {1000 * answer.answer_s:.0f} ms)",
            style="dim",
        )
    )
    if comparison:
        console.print(Text(comparison, style="yellow"))


def comparison(answer: Answer, plain: Answer, what: str) -> str:
    """What the filter or MMR changed, by the line: the entries, the place of the right one, the answer."""
    question, found, without = answer.question, answer.found, plain.found
    sentences = [f"Without {what}: {', '.join(f'{entry.id} {entry.score:.2f}' for entry in without)}."]
    if _place(found, question) != _place(without, question):
        places = f"{_place(found, question)} with {what}, {_place(without, question)} without"
        sentences.append(f"An entry that answers comes {places}.")
    if question.mmr is not None and different(without) < different(found):
        sentences.append(
            f"Of these {len(without)} texts {different(without)} are different, with MMR {different(found)}."
        )
    sentences.append(f"The answer would be: {textwrap.shorten(plain.text, _ANSWER_CHARS_MAX)}")
    return "\n".join(sentences)


def different(found: Sequence[Found]) -> int:
    """How many different texts there are: chapters of the language reference repeat each other."""
    return len({" ".join(entry.body.split()) for entry in found})


def show_evaluation(console: Console, evaluation: Evaluation) -> None:
    console.print(Text(str(evaluation), style="bold"))
    for question, ids in evaluation.missed:
        console.print(Text(f"  missed: {question}  found: {', '.join(ids)}", style="dim"))


def place_of(entry: Found) -> str:
    """Where the reader can look it up: file and line, or the `help()` that shows it."""
    file, line = entry.metadata.get("file"), entry.metadata.get("line")
    if file:
        return f"{file}:{line}"
    if entry.metadata["kind"] == "topic":
        return str(entry.metadata["signature"])
    return f'help("{entry.metadata["qualname"]}")'


def _table(found: Sequence[Found], id_width_max: int) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1), expand=True)
    table.add_column(justify="right", style="dim", width=2)
    table.add_column(justify="right", width=5)
    id_width = min(id_width_max, max(len(entry.id) for entry in found))
    table.add_column(style="cyan", no_wrap=True, overflow="ellipsis", width=id_width)
    table.add_column(style="dim", no_wrap=True, width=8)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for number, entry in enumerate(found, start=1):
        first_line = next((line.strip() for line in entry.body.splitlines() if re.search(r"\w", line)), "")
        cells = (entry.id, str(entry.metadata["kind"]), first_line)
        table.add_row(str(number), f"{entry.score:.2f}", *map(Text, cells))
    return table


def _place(found: Sequence[Found], question: Question) -> str:
    rank = rank_in([entry.id for entry in found], question.entries)
    ordinals = {1: "first", 2: "second", 3: "third"}
    return f"not among the first {len(found)}" if rank is None else ordinals.get(rank, f"{rank}th")
