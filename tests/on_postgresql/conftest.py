"""Opens the stores of these tests on PostgreSQL."""

import pytest

from tests import stores


@pytest.fixture(scope="module", autouse=True)
def on_postgresql():
    with stores.on(stores.POSTGRESQL):
        yield
