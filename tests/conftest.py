"""Fixtures that every test can use."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data beside the checkout; the only reason for a skip in this project is that it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data does not exist here")
    return SHARED_DATA
