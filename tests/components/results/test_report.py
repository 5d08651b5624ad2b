"""The numbers of the report, of the screen and of the files are those of the library on the exported votes."""

import csv
import io
from pathlib import Path

import pytest

from components.charts import colours
from components.results import numbers as results_numbers
from components.results import report as report_page
from components.results import tab as results
from components.results.share import colours as colours_of
from pipeline import ranking
from pipeline.annotation.templates import review_settings
from pipeline.comparison_settings import ComparisonSettings, RevealPolicy, VoteForm
from pipeline.records import Answer, Context, Outcome, ResponseStatus, Split, Vote, new_id
from pipeline.report import results_csv
from pipeline.result_details import CONTEXTS, RATED_GOOD, RATED_POOR, UNRATED
from pipeline.spreadsheets import unescaped
from pipeline.store.comparisons import Comparison
from pipeline.store.runs import NewRun, completion_of
from pipeline.vote_files import votes_csv
from tests.components.screens import ADA, member, value
from tests.ranked import MODELS, QUERIES, add_league
from tests.workspace import add_model, open_workspace, person, respond

NAMES = ("=plain <b>", "tuned & short", "-long's")


@pytest.fixture
def services(tmp_path):
    services = open_workspace(tmp_path / "home")
    yield services
    services.close()


def add_three(services, form=VoteForm.PAIRS, reveal=RevealPolicy.END, criteria=()) -> str:
    """Open a comparison of three models over eight queries; the last query has three answers that are alike."""
    models = [add_model(services, name) for name in NAMES]
    asked = [
        (f"Query {n} of {form} and {reveal}?", Split.TEST, {"topic": "fuel" if n % 2 else "fees"}) for n in range(8)
    ]
    list_id = services.store.queries.add_set("Harbour", asked)
    settings = ComparisonSettings(tuple(model.id for model in models), form=form, reveal=reveal, criteria=criteria)
    set_id = services.store.comparisons.add_set("three of them", settings, list_id)
    items = []
    for place, query in enumerate(services.store.queries.in_set(list_id)):
        context = Context("c", "d", "manual.md", "Words.", 0, 6, 1.0)
        retrieval = services.store.queries.add_retrievals("by hand", {query.id: [context]})[query.id]
        ids = []
        for number, model in enumerate(models):
            text = "The same." if place == 7 else f"Answer {number} {'goes on ' * (number * 3 + place % 4)}to {place}."
            completion = completion_of(Answer(text), None, model.id, query.id, retrieval.id)
            services.store.runs.add_completion(completion)
            ids.append(completion.id)
        groups = [ids] if form is VoteForm.RANKING else [[ids[0], ids[1]], [ids[0], ids[2]], [ids[1], ids[2]]]
        for group in groups:
            more = tuple(group[2:])
            items.append(Comparison(new_id(), set_id, len(items), query.id, retrieval.id, *group[:2], place == 7, more))
    services.store.comparisons.open_set(set_id, items, {"pairs": len(items), "queries": 8, "trained": 1, "named": 2})
    return set_id


def judge_all(services, set_id, who, shift):
    """Judge everything that waits, in an order that depends on the answers and on the person."""
    form = services.store.comparisons.set(set_id).settings.form
    while pair := services.comparisons.next_pair(set_id, who):
        worth = [(int(text.split()[1]) * 2 + len(text) * shift) % 5 for text in pair.texts]
        if form is VoteForm.RANKING:
            services.comparisons.rank(
                pair.comparison_id, who, [1 + sum(b > a for b in worth) for a in worth], seconds=6
            )
            continue
        outcome = list(Outcome)[2 + worth[0] % 2] if worth[0] == worth[1] else list(Outcome)[worth[1] > worth[0]]
        criteria = {"accuracy": outcome} if worth[0] != 1 else {}
        kept = {name: said for name, said in criteria.items() if name in pair.settings.criteria}
        services.comparisons.vote(pair.comparison_id, who, outcome, seconds=6, criteria=kept)


@pytest.fixture(params=[(VoteForm.PAIRS, ("accuracy", "tone")), (VoteForm.RANKING, ())], ids=["pairs", "ranking"])
def judged(request, services):
    """A comparison of three models that Ada and Bo have judged and Ada has opened."""
    set_id = add_three(services, request.param[0], criteria=request.param[1])
    for shift, who in enumerate((member(services), person(services, "Bo"), person(services, "Cy")), 1):
        judge_all(services, set_id, who, shift)
    services.comparisons.reveal(set_id, member(services))
    return set_id


def read_back(path) -> list[Vote]:
    """Return the votes in an exported file, as anybody would read them who has only the file."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Vote(
            row["query"],
            unescaped(row["model_a"]),
            unescaped(row["model_b"]),
            Outcome(row["outcome"]),
            "" if row["annotator"] == "automatic" else row["annotator"],
            float(row["seconds"]) if row["seconds"] else None,
        )
        for row in rows
    ]


def test_screen_report_and_file_say_what_the_library_says_of_the_exported_votes(services, judged):
    handlers = results.ResultsHandlers(services)
    votes = read_back(handlers.share.download_votes(judged, ADA))
    found = services.reports.report(judged)
    table = list(csv.DictReader(io.StringIO(results_csv(found))))
    whole = [row for row in table if row["part"] == "all votes"]
    assert len(found.pairs) == len(whole) == 3 and len(votes) == 8 * 3 * 3
    for number, pair in enumerate(found.pairs):
        verdict = ranking.verdict(votes, pair.first, pair.second)
        row = whole[number]
        assert (unescaped(row["first"]), unescaped(row["second"])) == (pair.first, pair.second)
        expected = (
            verdict.rate.rate,
            verdict.rate.low,
            verdict.rate.high,
            verdict.sign.p_value,
            verdict.anytime.p_value,
        )
        assert tuple(float(row[name]) for name in ("win_rate", "low", "high", "sign_p", "anytime_p")) == expected
        counts = verdict.counts
        names = ("queries", "votes", "annotators", "wins", "ties", "both_bad", "losses")
        assert [int(row[name]) for name in names] == [getattr(counts, name) for name in names]
        assert (
            int(row["automatic_ties"])
            == sum(not vote.annotator for vote in votes if {vote.model_a, vote.model_b} == {pair.first, pair.second})
            == 3
        )
        screen = handlers.show_pair(judged, str(number), ADA)
        assert results_numbers.headline(verdict) in screen.headline
        assert results_numbers.numbers(verdict, 3) in screen.numbers
        page = report_page.page(services.reports.report(judged, number), colours(found.models))
        assert results_numbers.numbers(verdict, 3) in page
        assert results_numbers.rate_text(verdict.rate) in page
    board = ranking.leaderboard(votes)
    assert [(r.model, r.rank, r.votes, r.queries) for r in found.board.ratings] == [
        (r.model, r.rank, r.votes, r.queries) for r in board.ratings
    ]
    for ours, theirs in zip(found.board.ratings, board.ratings, strict=True):
        assert ours.rating == pytest.approx(theirs.rating, abs=1e-6)
    assert found.fractions == ranking.win_fractions(votes, [rating.model for rating in board.ratings])
    assert found.progress == ranking.progress(votes, found.pairs[0].first, found.pairs[0].second)


def test_criteria_have_their_own_n(services):
    set_id = add_three(services, criteria=("accuracy", "tone"))
    judge_all(services, set_id, member(services), 1)
    services.comparisons.reveal(set_id, member(services))
    found = services.reports.report(set_id)
    accuracy, tone = found.criteria
    judged = [vote for vote in services.comparisons.results_of(set_id).stored if vote.criteria]
    pair = {found.pairs[0].first, found.pairs[0].second}
    names = {model.id: model.name for model in services.registry.all()}
    mine = [vote for vote in judged if {names[vote.left_model_id], names[vote.right_model_id]} == pair]
    assert accuracy.counts.votes == len(mine) > 0 and (tone.counts.votes, tone.rate.rate) == (0, None)
    shown = results_numbers.criteria(found.criteria, found.pairs[0].first)
    assert results_numbers.rate_text(accuracy.rate) in shown and f"<td class='pl-num'>{len(mine)}</td>" in shown
    assert shown.count("<tr>") == 3


def test_where_names_are_never_shown_no_file_picture_or_page_has_them(services):
    set_id = add_three(services, reveal=RevealPolicy.NEVER)
    judge_all(services, set_id, member(services), 1)
    handlers = results.ResultsHandlers(services)
    screen = handlers.reveal_results(set_id, ADA)
    share = handlers.share
    made = [share.download_votes(set_id, ADA)]
    for act in (share.download_numbers, share.download_report, share.download_chart):
        made.append(act(set_id, "1", ADA))
    texts = [Path(path).read_text(encoding="utf-8") for path in made]
    texts += [share.draw_bar(set_id, "1", ADA), share.draw_over_time(set_id, "2", ADA), repr([*screen])]
    texts += [repr(choice) for choice in screen.pair.choices] + [value(screen.chart)]
    texts += [choice[0] for choice in handlers.load_comparisons(None, ADA).choices]
    secret = [model.name for model in services.registry.all()] + [model.id for model in services.registry.all()]
    for text in texts[1:]:
        assert not [name for name in ("plain &lt;b", "tuned &amp; short", "-long&#x27;s", *secret[1:]) if name in text]
    assert "Model 1" in texts[0] and "tuned" not in texts[0]
    assert "is never shown in this comparison" in screen.headline
    assert not handlers.models.show_models(None, ADA).content.visible


def test_contexts_that_were_rated_on_edit_part_the_votes(services):
    """Was it the retriever or the generator: a query counts by the mean rating of its contexts, in whatever list it stands."""
    sets = add_league(services, [member(services), person(services, "Bo")])
    services.comparisons.reveal(sets[0], member(services))
    revealed = services.comparisons.results_of(sets[0])
    assert CONTEXTS not in services.result_details.keys(revealed)
    rated = {0: (5, 3), 1: (4, 3), 2: (1,)}
    rate_contexts(services, {f"Query {n} for everybody?  ": ratings for n, ratings in rated.items()})
    assert CONTEXTS in services.result_details.keys(revealed)
    parts = {part.name: part.verdict.counts for part in services.result_details.slices(revealed, CONTEXTS).parts}
    assert {name: (counts.queries, counts.votes) for name, counts in parts.items()} == {
        RATED_GOOD: (1, 2),
        RATED_POOR: (2, 4),
        UNRATED: (QUERIES - 3, 2 * (QUERIES - 3)),
    }
    handlers = results.ResultsHandlers(services)
    assert "By context rating" in [choice[0] for choice in handlers.show_results(sets[0], ADA).slice_by.choices]
    assert "contexts rated 4 or more" in handlers.show_slices(sets[0], "0", CONTEXTS, ADA)


def rate_contexts(services, ratings):
    """Let as many people as there are ratings of a query's contexts give them, in a list and a dataset of its own."""
    model = services.registry.all()[0]
    list_id = services.store.queries.add_set("On Edit", [(text, Split.TRAIN, {}) for text in ratings])
    items = []
    for query in services.store.queries.in_set(list_id):
        retrieval = services.store.queries.add_retrievals("by hand", {query.id: []})[query.id]
        completion = completion_of(Answer("Words."), None, model.id, query.id, retrieval.id)
        services.store.runs.add_completion(completion)
        items.append((query.id, completion.id))
    dataset = services.store.datasets.add("Reviewed", review_settings("answer-review"))
    run = services.store.runs.start(NewRun(model.id, list_id, Split.TRAIN, "by hand", len(items), 0))
    services.store.datasets.fill_of_run(dataset, "answer-review", run, items)
    for record, given in zip(services.store.datasets.records(dataset), ratings.values(), strict=True):
        for place, rating in enumerate(given):
            values = {"query_rating": 3, "context_rating": rating, "answer": "Words."}
            respond(services.store, record.id, person(services, f"R{place}"), ResponseStatus.SUBMITTED, values)
        respond(services.store, record.id, person(services, "draft"), ResponseStatus.DRAFT, {"context_rating": 5})


def test_a_report_is_kept_until_a_vote_comes_or_goes(services):
    set_id = add_three(services)
    me, bo = member(services), person(services, "Bo")
    judge_all(services, set_id, me, 1)
    first = services.reports.report(set_id)
    assert services.reports.report(set_id) is first
    pair = services.comparisons.next_pair(set_id, bo)
    services.comparisons.vote(pair.comparison_id, bo, Outcome.TIE, seconds=5)
    second = services.reports.report(set_id)
    total = lambda found: sum(pair.verdict.counts.votes for pair in found.pairs)  # noqa: E731
    assert total(second) == total(first) + 1
    services.comparisons.undo(set_id, bo)
    assert total(services.reports.report(set_id)) == total(first)
    assert services.reports.report(set_id, 99).number == 0


def test_people_have_pseudonyms_in_the_report(services):
    sets = add_league(
        services, [member(services), *(person(services, name) for name in ("Bo-the-voter", "Cy-the-voter"))]
    )
    found = services.reports.report(sets[1])
    page = report_page.page(found, colours_of(services, found.models))
    assert "annotator-1" in page and "-the-voter" not in page and "Guest" not in page
    assert "-the-voter" not in results_csv(found)
    assert MODELS[2] in page and "metadata: topic = fuel" in results_csv(found)


def test_the_page_needs_nothing_else_and_the_file_of_votes_is_the_same(services, judged):
    found = services.reports.report(judged)
    page = report_page.page(found, colours(found.models))
    assert (
        "<script" not in page
        and "http" not in page.replace("http-equiv", "")
        and "url(" not in page
        and "@import" not in page
    )
    assert "<details open" in page and "<details class" not in page
    revealed = services.comparisons.results(judged, member(services))
    texts = {q.id: q.text for q in services.store.queries.by_ids([v.query_id for v in revealed.stored]).values()}
    assert votes_csv(revealed.stored, revealed.models, texts).count("\n") >= 72
