"""How every test runs: one event loop, the same random inputs each time, nothing skipped unseen."""

import os
import time
from typing import Any

import pytest
from hypothesis import settings

from tests import needs
from tests.rounds import is_full, rounds

# The same examples on every run and machine; the time of one example is no claim of ours.
settings.register_profile(
    "onetime", derandomize=True, deadline=None, database=None, max_examples=rounds(100, 1000)
)
settings.load_profile("onetime")

STARTED = time.monotonic()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def budget_minutes() -> float | None:
    minutes = os.environ.get("TEST_MINUTES")
    return float(minutes) if minutes else None


def pytest_report_header() -> list[str]:
    minutes = budget_minutes()
    return [f"time budget: {minutes:g} minutes on 2 cores"] if minutes else []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not is_full():
        left_out = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        module = item.getparent(pytest.Module)
        if module is not None and getattr(module.obj, "rounds", None) is rounds:
            item.add_marker("rounds")


def is_worker() -> bool:
    """Whether this is one of several processes that another hands tests to."""
    return "PYTEST_XDIST_WORKER" in os.environ


def pytest_runtest_logfinish() -> None:
    minutes = budget_minutes()
    if minutes and not is_worker() and time.monotonic() - STARTED > minutes * 60:
        pytest.exit(f"over the time budget of {minutes:g} minutes", returncode=1)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended: what it could not test counts here."""
    needs.missed.update(getattr(node, "workeroutput", {}).get("missed", {}))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if is_worker():
        output: dict[str, object] = session.config.workeroutput  # type: ignore[attr-defined]  # xdist's
        output["missed"] = dict(needs.missed)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if needs.in_ci() and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, tests in needs.missed.items():
        terminalreporter.write_line(f"Not tested here: {needs.line(name)}: {tests} tests.")
    if needs.in_ci() and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("Tests were skipped, and CI tests everything: a failure.")
