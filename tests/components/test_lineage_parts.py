"""Handlers and HTML of model pages, votes one by one and proposed queries, called directly."""

from types import SimpleNamespace

import pytest

from components.ask.proposals import ProposalHandlers
from components.results import vote_html
from components.results.tab import ResultsHandlers
from components.results.vote_list import VoteListHandlers
from components.tune.model_pages import ModelPageHandlers
from pipeline.errors import PipelineError, TrainingError
from pipeline.records import Model, Outcome, new_id
from tests.lined import BETTER, REASON, REVIEWED, prepare_lined
from tests.material import TEST, open_copy
from tests.workspace import request_of

ADA, BO = request_of("a"), request_of("b")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare_lined(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def services(prepared, tmp_path):
    services = open_copy(prepared[0], tmp_path / "home")
    yield services
    services.close()


@pytest.fixture
def loop(prepared):
    return prepared[1]


@pytest.fixture
def opened(services, loop):
    services.comparisons.reveal(loop.set_id, services.store.members.by_token("a" * 64))


def event(**data):
    return SimpleNamespace(_data=data)


def test_the_newest_model_is_shown_first_with_its_rows(services, loop, opened):
    shown = ModelPageHandlers(services).show("", ADA)
    assert shown.chosen == loop.tuned.id and "round 1 · 3 rows" in shown.tree and "Tuned from" in shown.page
    assert shown.compare.visible and shown.again.visible and shown.rows.visible and shown.row == ""
    assert "1 correction out of votes" in shown.page and "guidelines version 1 (1 row)" in shown.page
    assert REVIEWED in shown.list and "3 rows" in shown.list and "overridden" in shown.list
    base = ModelPageHandlers(services).show(loop.base.id, ADA)
    assert not base.compare.visible and not base.rows.visible and "0 %" in base.page and "quick-one" in base.page


def test_a_row_has_links_to_what_it_came_of(services, loop, opened):
    handlers = ModelPageHandlers(services)
    rows = services.lineage.rows(loop.job_id, "").rows
    shown = handlers.open(event(place=f"{loop.tuned.id}/{rows[0].id}"), ADA)
    assert f"?tab=edit&amp;record={loop.record_id}" in shown.row and "Open in the document" in shown.row
    assert "Ada" not in shown.row
    vote = handlers.show(f"{loop.tuned.id}/{rows[2].id}", ADA).row
    assert f"?tab=results&amp;vote={loop.vote_id}" in vote and "Rejected answer" in vote and "let it in" in vote
    # Somebody who still judges the query sees neither the answer nor the way to the vote.
    closed = handlers.show(f"{loop.tuned.id}/{rows[1].id}", BO)
    assert BETTER not in closed.row + closed.list and loop.vote_id not in closed.row and "Kept back" in closed.row


def test_places_that_are_gone_are_said_to_be(services, loop):
    handlers = ModelPageHandlers(services)
    gone = handlers.show("no-such-model/row", ADA)
    assert gone.chosen == loop.tuned.id and "not in the workspace any more" in gone.page
    assert "not in the workspace any more" in handlers.show(f"{loop.tuned.id}/no-such-row", ADA).row


def test_rows_are_searched_and_turned(services, loop):
    handlers = ModelPageHandlers(services)
    assert TEST[0] in handlers.search_rows(loop.tuned.id, "moor", ADA)
    assert "No row has these words" in handlers.search_rows(loop.tuned.id, "100%", ADA)
    assert "3 rows" in handlers.turn_page(loop.tuned.id, "", event(page=7), ADA)
    assert handlers.search_rows(loop.base.id, "", ADA) == ""


def test_the_next_step_is_a_comparison_with_the_parent_or_another_round(services, loop):
    handlers = ModelPageHandlers(services)
    compared = handlers.compare_with_parent(loop.tuned.id, None)
    assert (compared.model_1.value, compared.model_2.value) == (loop.tuned.id, loop.base.id)
    assert handlers.start_another_round(f"{loop.tuned.id}/row").base.value == loop.tuned.id
    with pytest.raises(TrainingError):
        handlers.compare_with_parent(loop.base.id, None)


def test_nothing_of_a_configuration_is_markup_and_no_address_has_a_password(services):
    config = {
        "endpoint": "https://me:hunter2@models.test:8443/v1?key=hunter3",
        "model_id": "<b>m</b>",
        "api_key": "hunter4",
    }
    services.store.models.add(Model(new_id(), "<i>x</i>", "openai", config, "", created_at=9e9))
    shown = ModelPageHandlers(services).show("", ADA)
    assert "https://models.test:8443/v1" in shown.page and "hunter" not in shown.page + shown.tree
    assert "<b>m" not in shown.page and "<i>x" not in shown.page + shown.tree


def test_votes_are_shown_to_those_who_opened_the_results(services, loop):
    handlers = VoteListHandlers(services)
    closed = handlers.show(loop.set_id, "", "", loop.vote_id, ADA)
    assert closed.list == "" and "once you have opened these results" in closed.vote and REASON not in str(closed)
    with pytest.raises(PipelineError):
        handlers.search_votes(loop.set_id, "", "", ADA)
    services.comparisons.reveal(loop.set_id, services.store.members.by_token("a" * 64))
    shown = handlers.show(loop.set_id, "", "", loop.vote_id, ADA)
    assert shown.opened == loop.vote_id and REASON in shown.vote and BETTER in shown.vote and "row 2" in shown.vote
    assert f"?tab=tune&amp;model={loop.tuned.id}" in shown.vote and "3 votes" in shown.list
    assert ("quick-one preferred", loop.other.id) in shown.kind.choices
    assert "1 vote" in handlers.search_votes(loop.set_id, "pier", "", ADA)
    assert "No vote is like this" in handlers.turn_page(loop.set_id, "", "both_bad", event(page="x"), ADA)


def test_a_link_to_a_vote_chooses_its_comparison(services, loop, opened):
    results = ResultsHandlers(services)
    assert results.load_comparisons(f"vote/{loop.vote_id}", ADA).value == loop.set_id
    assert results.load_comparisons("vote/gone", ADA).value == loop.set_id
    assert results.follow_vote(loop.set_id, event(place=""), ADA).value == loop.set_id
    screen = results.show_results(loop.set_id, ADA)
    assert results.show_followed(loop.set_id, None, screen.seen, ADA).headline == {"__type__": "update"}
    assert results.show_followed(loop.set_id, None, None, ADA).headline == screen.headline
    # Of a vote that was open in another comparison nothing is shown here.
    assert VoteListHandlers(services).show(loop.set_id, "", "gone-model", "gone", ADA).vote != ""


def test_nothing_that_people_or_models_wrote_is_markup(services, loop):
    bo = services.store.members.by_token("b" * 64)
    services.store.members.rename(bo, "<i>Bo</i>")
    pair = services.comparisons.next_pair(loop.set_id, bo)
    services.comparisons.vote(pair.comparison_id, bo, Outcome.TIE, "<script>1</script>", "<img src=x>")
    services.comparisons.reveal(loop.set_id, bo)
    page = services.vote_list.page(loop.set_id, bo)
    line = next(line for line in page.lines if line.outcome == "tie")
    shown = vote_html.page(page) + vote_html.whole(services.vote_list.open(line.id, bo))
    assert vote_html.verdict(line) == "tie" and "&lt;script&gt;" in shown
    assert not any(markup in shown for markup in ("<script", "<img", "<i>Bo"))


def test_proposals_are_decided_one_after_the_other(services):
    handlers = ProposalHandlers(services)
    choices = handlers.load_choices(["gone"], None)
    assert choices.documents.value == [] and choices.proposer.value == "headings"
    first = handlers.propose([], 3, "headings", "", ADA)
    assert first.review.visible and "3 proposals to review" in first.list and 'data-proposal="' in first.passage
    kept = handlers.show(first.current, ADA)
    assert kept.text == {"__type__": "update"} == kept.passage
    second = handlers.accept(first.current, "When may nobody leave the basin?", ADA)
    assert second.current != first.current and "1 accepted" in second.decided and second.making.visible
    again = handlers.accept(first.current, "Something else?", ADA)
    assert again.current == second.current and "When may nobody" in again.decided
    third = handlers.reject(second.current, ADA)
    last = handlers.later(third.current, ADA)
    assert last.current == third.current and "1 rejected" in last.decided
    back = handlers.undo(ADA)
    assert (back.current, back.text) == (second.current, second.text)
    assert handlers.choose(event(proposal=third.current), ADA).current == third.current
    made = handlers.make_list("", False)
    assert "1 train and 0 test" in made.report and made.query_list.value
    assert not handlers.show("", ADA).making.visible
    for act in (handlers.reject, lambda current, request: handlers.accept(current, "x", request)):
        with pytest.raises(PipelineError):
            act("", ADA)
