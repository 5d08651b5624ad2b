"""The bundled example comes into a new workspace once, whole, and never again by itself."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.example import FOLDER, QUERY_LIST
from tests.material import Home, add_manual

PAGES = len(list((FOLDER / "handbook").glob("*.md")))


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home", example=True)
    yield home
    home.services.close()


def content(services):
    return len(services.library.summaries()), [item.name for item in services.query_lists.all()]


def test_a_new_workspace_gets_the_example_once(home):
    for services in (home.services, home.restart()):
        services.add_example_to_empty_workspace()
        assert content(services) == (PAGES, [QUERY_LIST])


def test_a_first_start_that_was_stopped_in_the_middle_goes_on(home):
    for path in sorted((FOLDER / "handbook").glob("*.md"))[:3]:
        home.services.library.add_file(path, path.name)
    services = home.restart()
    services.add_example_to_empty_workspace()
    assert content(services) == (PAGES, [QUERY_LIST])


def test_an_example_that_was_deleted_does_not_come_back(home):
    home.services.add_example_to_empty_workspace()
    for document in home.services.library.summaries():
        home.services.library.delete(document.id)
    services = home.restart()
    services.add_example_to_empty_workspace()
    assert content(services) == (0, [QUERY_LIST])


def test_the_example_is_reviewed_in_one_dataset_however_often_somebody_asks_for_it(home):
    with ThreadPoolExecutor(3) as people:
        reviewed = list(people.map(lambda _: home.services.example.review().id, range(3)))
    assert len({*reviewed, home.restart().example.review().id}) == 1
    assert [(item.name, item.size) for item in home.services.datasets.all()] == [(QUERY_LIST, 24)]


def test_the_example_is_indexed_while_a_newcomer_reads_the_first_screen(home):
    begun = time.monotonic()
    home.services.add_example_to_empty_workspace()
    # It takes 2 s on two idle cores; the bound is for busy ones.
    assert time.monotonic() - begun < 20


def test_a_workspace_with_other_documents_gets_no_example(home, tmp_path):
    add_manual(home.services, tmp_path)
    home.services.add_example_to_empty_workspace()
    assert content(home.services) == (1, [])
