"""What is compared? One file per engine; a new one is a class in such a file and its line here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from bench.engines.base import Engine
from bench.engines.chroma import Chroma
from bench.engines.hnswlib import Hnswlib
from bench.engines.lancedb import LanceDB
from bench.engines.qdrant import QdrantEdge
from bench.engines.sqlite import SQLite
from bench.engines.vicinal import Vicinal
from bench.engines.zvec import Zvec

ENGINES: dict[str, type[Engine]] = {
    "vicinal": Vicinal,
    "hnswlib": Hnswlib,
    "zvec": Zvec,
    "qdrant-edge": QdrantEdge,
    "lancedb": LanceDB,
    "chroma": Chroma,
    "sqlite": SQLite,
}


def missing(names: Sequence[str]) -> dict[str, str]:
    """Those whose package cannot be imported here, and why; tried in processes of their own."""
    found: dict[str, str] = {}
    for name in names:
        command = [sys.executable, "-c", f"import {ENGINES[name].package}"]
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
        if tried.returncode:
            found[name] = (tried.stderr.strip().splitlines() or ["the import ended the process"])[-1]
    return found
