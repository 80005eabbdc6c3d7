"""What may this process take of the machine?

Less than there is, where it is bound to some of the cores, or in a container that has its own limits. Threads
beyond a limit of time use it up sooner, and then all stand still until the next tenth of a second; a process
beyond a limit of memory is killed.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath

_GROUPS = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


@lru_cache(maxsize=1)
def cores() -> int:
    """On how many cores it may compute; at least one, and a limit's fraction counts as one."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13, where PYTHON_CPU_COUNT sets it
        usable = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0))
    else:
        usable = os.cpu_count()
    limits = _limits("cpu", ["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"])
    return max(1, math.ceil(min([usable or 1, *limits])))


def memory_bytes() -> float:
    """How much memory it may have; infinite where the platform does not tell."""
    most = math.inf
    with suppress(AttributeError, ValueError, OSError):
        if sys.platform == "win32":
            most = _memory_of_windows()
        else:
            most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([most, *_limits("memory", ["memory.max"], ["memory.limit_in_bytes"])])


def descriptors_max() -> int:
    """How many files it may have open; `sys.maxsize` where there is no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return sys.maxsize
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if most == resource.RLIM_INFINITY else most


if sys.platform == "win32":
    import ctypes

    class _MemoryStatus(ctypes.Structure):
        """Windows' MEMORYSTATUSEX: of nine numbers the total is wanted."""

        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            ("total", ctypes.c_uint64),
            ("others", ctypes.c_uint64 * 6),
        )

    def _memory_of_windows() -> float:
        status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
        if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            raise ctypes.WinError()
        return float(status.total)


def _limits(controller: str, files: list[str], files_before: list[str]) -> Iterator[float]:
    """How much the control groups of this process may take, and those around them, by these files of theirs:
    since version 2 of control groups, and before. Time is divided by the period that it is given for."""
    with suppress(OSError, ValueError):  # no Linux, or none that is laid out so
        for line in _GROUPS.read_text().splitlines():
            _, controllers, own = line.split(":", 2)
            if not controllers:
                mounted, names = _MOUNTED, files
            elif controller in controllers.split(","):
                mounted, names = _MOUNTED / controller, files_before
            else:
                continue
            inside = PurePosixPath(own.lstrip("/"))
            for group in (inside, *inside.parents):
                with suppress(OSError, ValueError):  # not seen from within a container, or no limit ("max")
                    found = " ".join((mounted / group / name).read_text() for name in names)
                    most, *period = map(float, found.split())
                    if most > 0:  # -1 is no limit, either
                        yield most / math.prod(period)
