"""A workspace that people sign in to, its app on a real port, and a program for each role."""

import pytest

from pipeline.records import Role
from tests.annotating import add_every_kind
from tests.api import ANSWERS, LINES, programs, served
from tests.material import add_manual
from tests.people import add, open_team

VIEWER, ANNOTATOR, ADMIN, OWNER = Role


@pytest.fixture(scope="session")
def services(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    services = open_team(folder / "home")
    add_manual(services, folder)
    yield services
    services.close()


@pytest.fixture(scope="session")
def url(services):
    with served(services) as url:
        yield url


@pytest.fixture(scope="session")
def as_(services, url):
    return programs(services, url)


@pytest.fixture
def dataset(services):
    return add_every_kind(services)


@pytest.fixture(scope="session")
def kept(services):
    """A dataset that refusals must not change, with one response to its last record."""
    dataset, dora = add_every_kind(services), add(services, "Dora", ANNOTATOR).id
    services.annotation.submit(services.store.datasets.record_ids(dataset.id)[-1], dora, ANSWERS)
    return dataset


@pytest.fixture(scope="session")
def record(services, kept):
    return services.store.datasets.record_ids(kept.id)[0]


@pytest.fixture
def lines(services):
    return services.datasets.create("Lines", LINES)
