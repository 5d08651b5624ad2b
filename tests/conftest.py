"""Fixtures that every test can use."""

from pathlib import Path

import pytest

from tests import stores
from tests.postgres import POSTGRES
from tests.workspace import open_workspace

TESTS = Path(__file__).resolve().parent
SHARED_DATA = TESTS.parents[1] / "shared" / "data"
# What takes long comes first: a worker that is given it last would work on while the others have nothing to do.
FOLDERS = ("browser", "space", "components", "on_postgresql", "training")
# Those of the other folders that take 8 seconds or more.
LONG = frozenset(
    f"pipeline/{name}.py"
    for name in (
        "hub/test_sync", "hub/test_tables", "hub/test_tables_and_journal", "models/test_embeddings", "test_merging",
        "test_move_store", "test_ranking_ratings", "test_rankings", "test_replicas", "test_retriever", "test_runs_under_way",
    )
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that start real apps and browsers: the quick ones then fill what is left, on every worker alike."""
    items[:] = [item for item in items if not (item.get_closest_marker("sqlite") and _is_on_postgresql(item))]
    items.sort(key=lambda item: _turn(item.path))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why something had to be tried once more (tests/browser/conftest.py): it may be more than chance."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"tried once more: {report.nodeid}", sep="_")
        terminalreporter.write_line(report.longreprtext)


def _turn(path: Path) -> int:
    if path.parent == TESTS:
        return 0
    if path.relative_to(TESTS).as_posix() in LONG:
        return 2
    folder = path.relative_to(TESTS).parts[0]
    return FOLDERS.index(folder) + 1 if folder in FOLDERS else len(FOLDERS) + 1


def _is_on_postgresql(item: pytest.Item) -> bool:
    return stores.DEFAULT == stores.POSTGRESQL or TESTS / "on_postgresql" in item.path.parents


@pytest.fixture(autouse=True)
def databases_of_this_test():
    """Empty the databases that stood for the files of a test, when it is over."""
    before = POSTGRES.files()
    yield
    POSTGRES.forget(POSTGRES.files() - before)


@pytest.fixture(scope="session", autouse=True)
def postgresql_server():
    """End the server at the end, if a test needed one."""
    yield
    POSTGRES.stop()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data beside the checkout; the only reason for a skip in this project is that it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data does not exist here")
    return SHARED_DATA


@pytest.fixture
def services(tmp_path):
    """An empty workspace with the real services."""
    workspace = open_workspace(tmp_path / "home")
    yield workspace
    workspace.close()
