"""Fixtures that every test can use."""

from pathlib import Path

import pytest

from tests.workspace import open_workspace

TESTS = Path(__file__).resolve().parent
SHARED_DATA = TESTS.parents[1] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that start real apps and browsers: the quick ones then fill what is left, on every worker alike."""
    places = [TESTS, TESTS / "browser"]
    items.sort(key=lambda item: places.index(item.path.parent) if item.path.parent in places else len(places))


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
