"""How much does a process take that may not have all of the machine?"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vicinal import _machine
from vicinal._machine import cores, descriptors_max, memory_bytes


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    cores.cache_clear()
    yield
    cores.cache_clear()


def _lay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str]) -> None:
    """A machine of 64 cores, and a process in these control groups."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: 64, raising=False)
    monkeypatch.setattr(_machine, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(_machine, "_MOUNTED", tmp_path / "mounted")
    (tmp_path / "cgroup").write_text(groups)
    for name, text in files.items():
        file = tmp_path / "mounted" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


V1 = "9:name=systemd:/\n4:memory:/a\n3:cpuset:/\n2:cpuacct,cpu:/docker/1f\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),  # a container sees its own group as the root
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "5000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "6400000 50000\n"}, 64),  # more than there are
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {}, 64),
        ("0::/\n", {"cpu.max": "nonsense"}, 64),
        ("nonsense", {"cpu.max": "200000 100000\n"}, 64),
        ("", {"cpu.max": "200000 100000\n"}, 64),
        # The group of a pod stands around that of its container: the narrower one holds.
        ("0::/pod/a\n", {"pod/cpu.max": "300000 100000", "pod/a/cpu.max": "800000 100000"}, 3),
        ("0::/pod/a\n", {"pod/cpu.max": "900000 100000", "pod/a/cpu.max": "800000 100000"}, 8),
        ("0::/pod/a\n", {"cpu.max": "200000 100000"}, 2),  # the way down to it is not seen
        ("0::/pod:cri:1f\n", {"pod:cri:1f/cpu.max": "300000 100000"}, 3),  # as containerd names them
        (V1, {"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        (V1, {"cpu/docker/1f/cpu.cfs_quota_us": "50000", "cpu/docker/1f/cpu.cfs_period_us": "10000"}, 5),
        (V1, {"cpu.max": "200000 100000"}, 64),  # of the other layout
        (V1 + "0::/\n", {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
    ],
)
def test_a_containers_quota_counts(
    groups: str, files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lay_out(tmp_path, monkeypatch, groups, files)
    assert cores() == expected


def test_where_nothing_is_known_of_control_groups_all_cores_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lay_out(tmp_path, monkeypatch, "", {})
    monkeypatch.setattr(_machine, "_GROUPS", tmp_path / "missing")
    assert cores() == 64


def test_there_is_always_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _lay_out(tmp_path, monkeypatch, "", {})
    monkeypatch.setattr(os, "process_cpu_count", lambda: None, raising=False)
    assert cores() == 1


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "268435456\n"}, 1 << 28),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/\n", {}, None),
        ("0::/a/b\n", {"a/memory.max": "268435456", "a/b/memory.max": "max"}, 1 << 28),
        (V1, {"memory/a/memory.limit_in_bytes": "268435456\n"}, 1 << 28),
        (V1, {"memory/memory.limit_in_bytes": "268435456\n"}, 1 << 28),
        (V1, {"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, None),  # no limit
    ],
)
def test_what_a_container_may_have_of_the_memory_counts(
    groups: str, files: dict[str, str], expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lay_out(tmp_path, monkeypatch, groups, {})
    whole = memory_bytes()
    assert whole > 1 << 28
    _lay_out(tmp_path, monkeypatch, groups, files)
    assert memory_bytes() == (expected or whole)
    monkeypatch.delattr(os, "sysconf", raising=False)  # as on Windows
    assert memory_bytes() <= (expected or math.inf)


@pytest.mark.skipif(os.name == "nt", reason="there files are not counted")
def test_no_limit_of_open_files_is_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert descriptors_max() == sys.maxsize


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be bound to cores")
def test_a_process_that_is_bound_to_one_core_takes_one() -> None:
    code = """if True:
        import os

        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        from vicinal._machine import cores

        print(cores())"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "1\n"
