"""What is to be measured, and where do the results go?

`python -m bench --quick` gives a first look; `--scaling` measures how the costs grow. The page and the
plots are written beside the results: `--output docs/benchmarks.json` publishes them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from bench import turns
from bench.corpus import DIMENSION_MAX
from bench.engines import ENGINES, missing
from bench.engines.base import HNSW, THREADS, ef_search
from bench.filters import RANGES
from bench.truth import Truth
from bench.workloads import BATCH_ROWS

_QUICK = {"rows": 5_000, "rounds": 2, "queries": 60, "seconds": 0.1, "engines": "vicinal,hnswlib,chroma"}
_SCALING = {
    "engines": "vicinal,hnswlib",
    "workloads": "query,filter,count,reopen",
    "rounds": 2,
    "output": Path(".benchmarks/scaling.json"),
}
_ROWS_MIN = 10
"""A tenth of the rows is replaced and deleted, and one is some."""
_ONE_RUN = {"about", "skipped", "hnsw", "run", "turns", "corpus", "overlap"}
_RUNS = {"about", "hnsw", "runs"}


def main(argv: Sequence[str]) -> None:
    """Give several vector stores the same real text in turns; show what was measured."""
    arguments = _parse(argv)
    from bench.report import Report  # not in the engines' processes, which import this file
    from bench.scaling import Growth

    console = Console(width=None if sys.stdout.isatty() else 120)
    path = arguments.render or _measure(arguments, console)
    report = (Growth if "runs" in json.loads(path.read_text(encoding="utf-8")) else Report)(path)
    for table in report.tables():
        console.print(Markdown(table))
    console.print(f"Method, tables and plots: {report.render()}")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    # A flag in short would be missed where the defaults are set.
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--rows", type=_whole(_ROWS_MIN), default=20_000, help="records that the engines hold")
    dimension = _whole(2, DIMENSION_MAX)
    add("--dimension", type=dimension, default=384, help=f"of the vectors, at most {DIMENSION_MAX}")
    add("--queries", type=_whole(2), default=200, help="different questions")
    add("--k", type=_whole(1), default=10, help="results of a query")
    add("--rounds", type=_whole(1), default=6, help="turns of every engine in every workload")
    add("--seconds", type=_seconds, default=1.0, help="of asking in one turn, about")
    add("--engines", default=",".join(ENGINES), help="some of: %(default)s")
    add("--workloads", default=",".join(turns.WORKLOADS), help="some of: %(default)s")
    add("--quick", action="store_true", help="a first look, in under three minutes")
    add("--scaling", action="store_true", help="how the costs grow with --sizes")
    add("--sizes", type=_sizes, default="10000,30000,100000,300000", help="rows, for --scaling")
    add("--output", type=Path, default=Path(".benchmarks/results.json"))
    add("--cache", type=Path, default=Path(".benchmarks"), help="where embedded text is kept")
    add("--render", type=_results, metavar="FILE", help="measure nothing, show these results")
    for flag, defaults in (("--quick", _QUICK), ("--scaling", _SCALING)):
        if flag in argv:
            parser.set_defaults(**defaults)
    arguments = parser.parse_args(argv)
    for name, known in (("engines", ENGINES), ("workloads", turns.WORKLOADS)):
        wanted = getattr(arguments, name).split(",")
        setattr(arguments, name, wanted)
        if unknown := set(wanted) - set(known):
            parser.error(f"no {name[:-1]} is called {', '.join(unknown)}; there are {', '.join(known)}")
        if len(set(wanted)) < len(wanted):
            parser.error(f"argument --{name}: one is named twice")
    fewest = min(arguments.sizes) if arguments.scaling else arguments.rows
    if fewest < arguments.k:
        parser.error(f"argument --k: {arguments.k} results of {fewest} rows")
    return arguments


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    wanted = f"{least} or more" if most is None else f"from {least} to {most}"

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {wanted}")
        return value

    return number


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, 0 or more")
    return value


def _sizes(text: str) -> list[int]:
    sizes = list(map(_whole(_ROWS_MIN), text.split(",")))
    if sizes != sorted(set(sizes)):
        raise argparse.ArgumentTypeError(f"{text!r}: each is to be more than the one before")
    return sizes


def _results(text: str) -> Path:
    """A file that this program wrote."""
    try:
        found = json.loads(Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from error
    except ValueError:
        found = None
    if not isinstance(found, dict) or not any(found.keys() >= kind for kind in (_ONE_RUN, _RUNS)):
        raise argparse.ArgumentTypeError(f"{text}: holds no results")
    return Path(text)


def _measure(arguments: argparse.Namespace, console: Console) -> Path:
    skipped = missing(arguments.engines)
    engines = [name for name in arguments.engines if name not in skipped]
    for name, reason in skipped.items():
        console.print(f"{name} is skipped: {reason}")
    results: dict[str, Any] = {"about": _about(engines), "skipped": skipped}
    results["hnsw"] = {**HNSW, "threads": THREADS, "batch": BATCH_ROWS}
    sizes = arguments.sizes if arguments.scaling else [arguments.rows]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    runs = []
    for rows in sizes:  # written after each: the largest may take an hour
        runs.append(_run(arguments, engines, rows, console))
        written = results | ({"runs": runs} if arguments.scaling else runs[0])
        arguments.output.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return Path(arguments.output)


def _run(arguments: argparse.Namespace, engines: list[str], rows: int, console: Console) -> dict[str, Any]:
    values = {field.name: getattr(arguments, field.name) for field in fields(turns.Options)}
    options = turns.Options(**(values | {"engines": engines, "rows": rows}))
    with console.status("reading and embedding text, once"):
        corpus = options.corpus()
        truth = Truth(corpus, options.k)
    found = []
    with Progress(console=console) as progress:
        task = progress.add_task(f"{rows:,} rows", total=None)
        for turn in turns.measure(options, corpus, truth):
            found.append(turn)
            where = f"{rows:,} rows, round {turn['round'] + 1} of {options.rounds}"
            progress.update(task, description=f"{where}: {turn['workload']} {turn['case']}", advance=1)
    described = corpus.describe()
    passing = {case.name: truth.overlap(case) for case in RANGES}
    return {
        "run": asdict(options) | {"cache": None, "ef": ef_search(rows)},
        "turns": found,
        "corpus": described,
        "overlap": passing,
    }


def _about(engines: Sequence[str]) -> dict[str, Any]:
    """The machine, without its name, and the moment."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    load = psutil.getloadavg()[0]
    caveat = "; other programs ran beside it: trust the ratios more than the times" if load > 0.5 else ""
    return {
        "date": date.today().isoformat(),
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": ", ".join(_version(ENGINES[name].package) for name in engines),
        "load": f"{load:.1f}{caveat}",
    }


def _version(package: str) -> str:
    if package == "sqlite3":
        import sqlite3

        return f"SQLite {sqlite3.sqlite_version}"
    distribution = {"qdrant_edge": "qdrant-edge-py"}.get(package, package)
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return distribution


if __name__ == "__main__":
    main(sys.argv[1:])
