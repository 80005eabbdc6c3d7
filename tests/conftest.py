"""What all tests share: a failure says in which order they ran, so that it can be repeated."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The seed of the order stands in pytest's heading, which `-q` leaves out."""
    seed = config.getoption("randomly_seed", None)
    if seed is not None and terminalreporter.stats.keys() & {"failed", "error"}:
        terminalreporter.write_line(f"The same order again: ARGS='--randomly-seed={seed}'")
