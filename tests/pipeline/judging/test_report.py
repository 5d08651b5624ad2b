"""The report on a judge is that of the library on the exported files."""

import csv
import io

import pytest

from pipeline.errors import ComparisonError
from pipeline.ranking.judge import cohens_kappa
from tests.judges import (
    BAD,
    TIE,
    A,
    B,
    chat,
    judged,
    opened,
    texts,
)
from tests.workspace import add_comparison, person


class TestReport:
    def test_its_numbers_are_those_of_the_library_on_the_exported_files(self, home, server, models):
        services = home.services
        set_id = add_comparison(services, models, texts(9))
        people = [person(services, name) for name in ("Ada", "Bo", "Cy")]
        for place, member in enumerate(people):
            outcomes = iter([A, B, TIE, BAD, A, A, B, TIE, B][place:] + [A, B])
            while pair := services.comparisons.next_pair(set_id, member):
                services.comparisons.vote(pair.comparison_id, member, next(outcomes), seconds=9)
        services.comparisons.reveal(set_id, people[0])
        judged(services, set_id, people[0])
        report = services.judge.report(set_id, chat(services), people[0])
        rows = list(csv.DictReader(io.StringIO(services.judge.csv(set_id, people[0]), newline="")))
        assert len(rows) == report.replies == 18
        wins = {row["query"]: row[row["verdict"]] for row in rows}
        assert wins == {f"Query number {n}?": "base-9" if n % 3 == 2 else "tuned-9" for n in range(9)}
        votes = services.comparisons.results(set_id, people[0]).votes
        texts_of = {
            query.id: query.text for query in services.store.queries.by_ids([v.query_id for v in votes]).values()
        }
        pairs = []
        for query_id, text in texts_of.items():
            given = [
                {A: vote.model_a, B: vote.model_b}.get(vote.outcome, vote.outcome.value)
                for vote in votes
                if vote.query_id == query_id
            ]
            best = [
                value for value in set(given) if all(given.count(value) > given.count(o) for o in set(given) - {value})
            ]
            pairs += [(query_id, best[0], wins[text])] if best else []
        agreement = report.agreement
        assert (agreement.same.total, agreement.undecided) == (len(pairs), 9 - len(pairs))
        assert agreement.same.count == sum(one == other for _, one, other in pairs)
        assert agreement.kappa.kappa == pytest.approx(cohens_kappa(pairs).kappa)
        assert report.prompt_tokens == sum(int(row["prompt_tokens"]) for row in rows)
        assert report.rates[0].judge.rate == pytest.approx(6 / 9)
        assert {row["instructions"] for row in rows} == {"pairwise, version 1"}

    def test_a_file_cell_that_begins_as_a_formula_is_made_harmless(self, home, server, models):
        server.answer = lambda messages: "=1+1\nVerdict: A"
        set_id = add_comparison(home.services, models, texts(1))
        ada = opened(home.services, set_id)
        judged(home.services, set_id, ada)
        assert "'=1+1" in home.services.judge.csv(set_id, ada)

    def test_an_estimate_is_near_what_is_sent(self, home, server, models):
        set_id = add_comparison(home.services, models, texts(5))
        ada = opened(home.services, set_id)
        plan = home.services.judge.plan(set_id, chat(home.services), ada)
        judged(home.services, set_id, ada)
        sent = sum(len(message["content"]) for request in server.chats for message in request.body["messages"])
        assert plan.prompt_tokens == pytest.approx(sent / 4, rel=0.01)

    def test_no_report_and_no_file_before_anything_was_said(self, home, models):
        set_id = add_comparison(home.services, models, texts(1))
        ada = opened(home.services, set_id)
        assert home.services.judge.report(set_id, chat(home.services), ada) is None
        with pytest.raises(ComparisonError, match="No model has judged"):
            home.services.judge.csv(set_id, ada)
