"""How much memory does a process hold, and how much of it is its own?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import psutil

_FIELD = re.compile(r"^(\w+): +(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class Memory:
    """Megabytes: its own, and of mapped files, which the system can drop."""

    own_mb: float
    mapped_mb: float


def resident(pid: int | None = None) -> Memory:
    """Of this process or another. Shared memory that is no file counts as own; where the system does
    not tell files apart, all does."""
    rollup = Path(f"/proc/{pid or 'self'}/smaps_rollup")
    if rollup.exists():
        fields = {name: int(value) * 1024 / 1e6 for name, value in _FIELD.findall(rollup.read_text())}
        own = fields.get("Anonymous", 0.0)  # nothing is told of a process that has just ended
        return Memory(own, fields.get("Rss", 0.0) - own)
    usage = psutil.Process(pid).memory_info()
    return Memory(usage.rss / 1e6, 0.0)
