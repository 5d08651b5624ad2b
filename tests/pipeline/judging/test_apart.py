"""Who gets to see judges, and that they count in no result of people."""

import re

import pytest

from pipeline.comparison_settings import RevealPolicy
from pipeline.errors import ComparisonError
from pipeline.hub.publish import published_rows
from pipeline.store import open_store
from tests.judges import BAD, TIE, A, B, add_ranking, chat, embedded, judged, opened, said, texts
from tests.workspace import add_comparison, add_model, person


class TestApart:
    """Judges count in no result of people, and nobody sees them before their own vote."""

    def vote_all(self, services, set_id, member, outcomes):
        given = iter(outcomes)
        while pair := services.comparisons.next_pair(set_id, member):
            outcome = next(given)
            services.comparisons.vote(pair.comparison_id, member, outcome, seconds=9)

    def test_who_has_not_opened_the_results_gets_nothing(self, home, server, models):
        services = home.services
        set_id = add_comparison(services, models, texts(2))
        ada, bo, model = opened(services, set_id), person(services, "Bo"), chat(services)
        judged(services, set_id, ada)
        sent = len(server.chats)
        for ask in (
            lambda: services.judge.plan(set_id, model, bo),
            lambda: services.judge.start(set_id, model, bo),
            lambda: services.judge.cancel(set_id, model, bo),
            lambda: services.judge.progress(set_id, model, bo),
            lambda: services.judge.report(set_id, model, bo),
            lambda: services.judge.csv(set_id, bo),
        ):
            with pytest.raises(ComparisonError, match="Open the results"):
                ask()
        assert len(server.chats) == sent

    def test_a_judge_changes_nothing_for_the_person_who_votes(self, home, server, models):
        services = home.services
        set_id = add_comparison(services, models, texts(3))
        bo = person(services, "Bo")
        before = services.comparisons.next_pair(set_id, bo)
        judged(services, set_id, opened(services, set_id))
        assert services.comparisons.next_pair(set_id, bo) == before
        assert services.comparisons.progress(set_id, bo) == (0, 3)

    def test_results_standings_votes_and_published_tables_are_those_without_a_judge(self, home, server, models):
        services = home.services
        set_id = add_comparison(services, models, texts(4))
        ada = person(services, "Ada")
        self.vote_all(services, set_id, ada, [A, B, TIE, BAD])
        services.comparisons.reveal(set_id, ada)

        def seen():
            return (
                services.comparisons.results(set_id, ada),
                services.standings.standings(ada),
                services.standings.votes_csv(ada),
                services.store.votes.counts(),
                published_rows(services.store, "salt"),
            )

        before = seen()
        judged(services, set_id, ada)
        judged(services, set_id, ada, embedded(services))
        assert len(said(services, set_id)) == 16
        assert seen() == before

    def test_where_names_are_never_shown_they_are_not_shown_here(self, home, server, models):
        services = home.services
        three = [*models, add_model(services, "third-9")]
        set_id = add_ranking(services, three, [["good", "poor", "bad"]], RevealPolicy.NEVER)
        ada = opened(services, set_id)
        judged(services, set_id, ada)
        told = f"{services.judge.report(set_id, chat(services), ada)}{services.judge.csv(set_id, ada)}"
        assert "Model 1" in told and not re.search(r"(?:tuned|base|third)-9", told)

    def test_a_judge_that_took_part_is_told_of_but_not_where_names_are_never_shown(self, home, server, models):
        services = home.services
        judge = services.store.models.get(chat(services))
        set_id = add_comparison(services, [models[0], judge], texts(1))
        ada = opened(services, set_id)
        assert services.judge.plan(set_id, judge.id, ada).own
        hidden = add_ranking(services, [models[0], judge], [["good", "poor"]], RevealPolicy.NEVER)
        opened(services, hidden)
        assert not services.judge.plan(hidden, judge.id, ada).own


def test_what_judges_said_travels_to_another_store(home, server, models, tmp_path):
    services = home.services
    set_id = add_comparison(services, models, texts(2))
    server.fail(times=1, status=400, message="No.")
    judged(services, set_id, opened(services, set_id))
    other = open_store(tmp_path / "other.db")
    merged = other.merging.merge([change for part in services.store.outbox.everything() for change in part], None)
    assert merged.parked == 0
    runs = other.judgements.runs(set_id)
    assert runs == services.store.judgements.runs(set_id) and len(runs) == 1
    assert other.judgements.of_runs([runs[0].id]) == said(services, set_id) and len(said(services, set_id)) == 4
    other.close()
