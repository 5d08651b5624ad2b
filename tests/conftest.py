"""Fixtures that every test can use."""

from pathlib import Path

import pytest

from tests.workspace import open_workspace

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


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
