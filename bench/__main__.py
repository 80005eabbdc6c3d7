"""What is to be measured, and where do the results go?

`python -m bench --quick` gives a first look. The page and the plot are written beside the results:
`--output docs/benchmarks.json` publishes them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from bench import corpus, filters, turns
from bench.engines import ENGINES, HNSW, THREADS
from bench.truth import Truth
from bench.workloads import BATCH_ROWS

_QUICK = {"rows": 8_000, "rounds": 3, "queries": 100, "seconds": 0.2}


def main(argv: Sequence[str]) -> None:
    """Give several vector stores the same real text in turns; show what was measured."""
    arguments = _parse(argv)
    from bench.report import Results  # not in the engines' processes, which import this file

    console = Console(width=None if sys.stdout.isatty() else 120)
    results = Results(arguments.render or _measure(arguments, console))
    for table in results.tables():
        console.print(Markdown(table))
    console.print(f"Method, tables and plot: {results.render()}")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="records that the engines hold")
    parser.add_argument("--queries", type=int, default=200, help="different questions")
    parser.add_argument("--k", type=int, default=10, help="results of a query")
    parser.add_argument("--rounds", type=int, default=6, help="turns of every engine in every workload")
    parser.add_argument("--seconds", type=float, default=1.0, help="of asking in one turn, about")
    parser.add_argument("--engines", default=",".join(ENGINES), help="some of: %(default)s")
    parser.add_argument("--quick", action="store_true", help="a first look, in under three minutes")
    parser.add_argument("--output", type=Path, default=Path(".benchmarks/results.json"))
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks"), help="where embedded text is kept")
    parser.add_argument("--render", type=Path, metavar="FILE", help="measure nothing, show these results")
    if "--quick" in argv:
        parser.set_defaults(**_QUICK)
    arguments = parser.parse_args(argv)
    arguments.engines = arguments.engines.split(",")
    if unknown := set(arguments.engines) - set(ENGINES):
        parser.error(f"no engine is called {', '.join(unknown)}; there are {', '.join(ENGINES)}")
    return arguments


def _measure(arguments: argparse.Namespace, console: Console) -> Path:
    about = _about(arguments.engines)
    options = turns.Options(**{field.name: getattr(arguments, field.name) for field in fields(turns.Options)})
    with console.status("reading and embedding text, once"):
        records = corpus.load(options.cache, options.rows, options.queries)
        truth = Truth(records, options.k)
    total = options.rounds * len(options.engines) * (len(filters.ALL) + 3)
    found = list(track(turns.measure(options, records, truth), "taking turns", total=total, console=console))
    results: dict[str, Any] = {"about": about, "run": asdict(options) | {"cache": None}, "turns": found}
    results |= {"corpus": records.describe(), "hnsw": {**HNSW, "threads": THREADS, "batch": BATCH_ROWS}}
    results["overlap"] = truth.overlap
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    return Path(arguments.output)


def _about(engines: Sequence[str]) -> dict[str, Any]:
    """The machine, without its name, and the moment."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    load = psutil.getloadavg()[0]
    caveat = "; other programs ran beside it: trust the ratios more than the times" if load > 0.5 else ""
    packages = [*(ENGINES[name].package for name in engines), "numpy"]
    return {
        "date": date.today().isoformat(),
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": ", ".join(f"{package} {version(package)}" for package in packages),
        "load": f"{load:.1f}{caveat}",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
