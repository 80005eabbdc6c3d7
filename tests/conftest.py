"""What all tests share: what a call costs, without a clock, and how a failure can be repeated.

A failure says in which order the tests ran. Costs are calls and bytes, the same on every machine; seconds are
measured in `bench/`.
"""

import sys
import tracemalloc
from collections.abc import Callable, Generator
from importlib.util import find_spec
from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The seed of the order stands in pytest's heading, which `-q` leaves out."""
    seed = config.getoption("randomly_seed", None)
    if seed is not None and terminalreporter.stats.keys() & {"failed", "error"}:
        terminalreporter.write_line(f"The same order again: ARGS='--randomly-seed={seed}'")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails for want of a package is skipped on a Python that RE2, for one, has no wheel for."""
    report = yield
    without = sys.version_info >= (3, 15) and find_spec("re2") is None
    if without and report.failed and "MissingDependencyError" in report.longreprtext:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, "needs a package that has no wheel for this Python yet")
    return report


@pytest.fixture
def calls_of() -> Callable[[Callable[[], Any]], tuple[Any, int]]:
    """`calls_of(act)`: what it gives, and how many calls, of Python and of C, this thread made for it."""

    def counted(act: Callable[[], Any]) -> tuple[Any, int]:
        calls, before = 0, sys.getprofile()

        def count(_frame: Any, event: str, _argument: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            return act(), calls
        finally:
            sys.setprofile(before)

    return counted


@pytest.fixture
def peak_of() -> Callable[[Callable[[], Any]], tuple[Any, int]]:
    """`peak_of(act)`: what it gives, and how many bytes Python held for it at the most, in all threads."""

    def measured(act: Callable[[], Any]) -> tuple[Any, int]:
        tracemalloc.start()
        try:
            return act(), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measured
