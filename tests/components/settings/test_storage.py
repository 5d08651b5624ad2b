"""Storage and back-up in Settings: the handlers, called directly."""

import gzip
import re
from pathlib import Path

import pytest

from components.settings.storage import StorageHandlers, places_html, state_html
from pipeline import journal
from pipeline.comparison_settings import ComparisonSettings
from pipeline.errors import PipelineError
from pipeline.hub.state import BackupState, PlaceState
from pipeline.records import Outcome
from pipeline.settings import Settings
from tests.components.screens import ADA, BO, NOBODY, member
from tests.hub_server import HubServer
from tests.workspace import add_comparison, add_model, open_workspace

PAIRS = [(f"The first answer {n}.", f"The second answer {n}.") for n in range(3)]


@pytest.fixture
def handlers(services):
    return StorageHandlers(services)


@pytest.fixture
def compared(services):
    """Return the ids of two comparisons that are open for votes."""
    models = tuple(add_model(services, name) for name in ("fennec", "lemur"))
    return [
        add_comparison(services, models, PAIRS),
        add_comparison(services, models, PAIRS, ["One?", "Two?", "Three?"]),
    ]


def last(steps):
    return list(steps)[-1]


def test_without_a_repo_sync_now_is_off_and_it_is_said_how_to_get_one(handlers):
    shown = handlers.show_storage()
    assert not shown.sync.interactive
    assert "no dataset repo to sync with" in shown.synced
    assert "PAIRLOOP_DATASET_REPO" in shown.places and "HF_TOKEN" in shown.places
    assert "on this machine only" in shown.state


def test_places_are_named_with_their_addresses_and_without_the_token(tmp_path):
    chosen = Settings(
        tmp_path / "home", dataset_repo="team/feedback", hf_token="hf_secret", data_dir=tmp_path / "<volume>"
    )
    html = places_html(chosen)
    assert "https://huggingface.co/datasets/team/feedback" in html and str(tmp_path / "home") in html
    assert "&lt;volume&gt;" in html and "hf_secret" not in html and "<a " not in html


def test_warnings_are_listed_and_escaped():
    place = PlaceState("team/feedback", 0, None, None)
    html = state_html(BackupState(repo=place, warnings=("The repo is <b>public</b>.",)), 1.0)
    assert "<li>! The repo is &lt;b&gt;public&lt;/b&gt;.</li>" in html


def test_sync_now_says_what_it_does_and_what_became_of_it(tmp_path, monkeypatch):
    # The Hub of the tests knows no Xet, and the client has read its environment already.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with HubServer() as hub:
        settings = {"dataset_repo": "team/feedback", "hf_token": "hf_write_token", "hf_endpoint": hub.url}
        services = open_workspace(tmp_path / "home", **settings)
        handlers = StorageHandlers(services)
        services.store.values.pseudonym_salt()
        working, done = handlers.sync_now()
        assert re.search(r"Sending \d+ changes? …", working.synced) and not working.sync.interactive
        assert "Everything is in the dataset repo" in done.synced and done.sync.interactive
        assert any(name.startswith("journal/") for name in hub.files("team/feedback"))
        member(services)
        hub.fail(times=None, status=503)
        failed = last(handlers.sync_now())
        assert "The Hub answered with error 503" in failed.synced and failed.sync.interactive
        hub.heal()
        services.close()


def test_the_file_is_made_at_once_where_nothing_is_judged_blind(services, handlers):
    made = last(handlers.ask_for_file(ADA))
    assert made.file.endswith("pairloop-workspace.jsonl.gz") and not made.confirm.visible
    assert "is made" in made.made
    assert b'"pairloop":1' in gzip.decompress(Path(made.file).read_bytes())


def test_before_the_file_ends_somebodys_voting_they_are_asked(services, handlers, compared):
    me = member(services)
    pair = services.comparisons.next_pair(compared[0], me)
    services.comparisons.vote(pair.comparison_id, me, Outcome.TIE)
    asked = last(handlers.ask_for_file(ADA))
    assert asked.file is None and asked.confirm.visible and set(asked.confirmed) == set(compared)
    assert "the results of 2 comparisons" in asked.confirm_text and "1 of 6 pairs" in asked.confirm_text
    assert "fennec" not in str(asked) and "lemur" not in str(asked)
    assert not any(services.comparisons.is_revealed(item, me) for item in compared)


def test_yes_makes_the_file_and_ends_the_voting_of_this_person_only(services, handlers, compared):
    asked = last(handlers.ask_for_file(ADA))
    made = last(handlers.make_file(asked.confirmed, ADA))
    assert b"fennec" in gzip.decompress(Path(made.file).read_bytes()) and not made.confirm.visible
    assert all(services.comparisons.is_revealed(item, member(services, ADA)) for item in compared)
    assert not any(services.comparisons.is_revealed(item, member(services, BO)) for item in compared)
    # Once the results are open, nothing is asked any more.
    assert last(handlers.ask_for_file(ADA)).file


def test_a_comparison_that_was_opened_after_the_question_is_asked_for_again(services, handlers, compared):
    asked = last(handlers.make_file((compared[0],), ADA))
    assert asked.file is None and asked.confirm.visible and "2 comparisons" in asked.confirm_text
    assert last(handlers.make_file((), ADA)).file is None
    assert not any(services.comparisons.is_revealed(item, member(services)) for item in compared)


def test_while_a_comparison_is_prepared_no_file_is_made(services, handlers):
    models = [add_model(services, name).id for name in ("fennec", "lemur")]
    list_id = services.store.queries.add_set("Asked twice", [])
    services.store.comparisons.add_set("fennec and lemur", ComparisonSettings(tuple(models)), list_id)
    refused = last(handlers.ask_for_file(ADA))
    assert refused.file is None and "is being prepared" in refused.made
    assert "fennec" not in refused.made and "lemur" not in refused.made


def test_without_a_cookie_there_is_no_file(handlers):
    with pytest.raises(PipelineError, match="cookie"):
        list(handlers.ask_for_file(NOBODY))


def test_a_file_comes_into_an_empty_workspace_once(harbour, tmp_path):
    file = last(StorageHandlers(harbour).ask_for_file(ADA)).file
    other = open_workspace(tmp_path / "other")
    first, second = (last(StorageHandlers(other).import_file(file)).imported for _ in range(2))
    assert "new or newer here now" in first
    assert "nothing has changed" in second
    assert [d.name for d in other.library.summaries()] == [d.name for d in harbour.library.summaries()]
    other.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b""), gzip.compress(b'{"rows": 1}\n')],
    ids=["empty", "no gzip", "nothing packed", "foreign"],
)
def test_what_is_no_workspace_file_is_refused_in_words(handlers, tmp_path, content):
    file = tmp_path / "wrong.jsonl.gz"
    file.write_bytes(content)
    said = last(handlers.import_file(str(file))).imported
    assert "no workspace file" in said and "Nothing was taken in" in said


def test_rows_that_cannot_be_used_yet_are_counted(handlers, tmp_path, harbour):
    line = next(
        line for c in harbour.store.outbox.everything() for line in journal.write_lines(c) if b'"chunks"' in line
    )
    file = tmp_path / "part.jsonl.gz"
    file.write_bytes(gzip.compress(journal.write_block(harbour.store.replica, [line])))
    said = last(handlers.import_file(str(file))).imported
    assert "1 row" in said and "put aside" in said
