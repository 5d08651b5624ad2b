"""What the workspace publishes, as files: every table, and the card that explains them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipeline import vote_training
from pipeline.export import chat_row
from pipeline.hub.card import NO_LICENCE, card
from pipeline.hub.tables import TABLES, parquet
from pipeline.naming import pseudonym
from pipeline.prompts import FindTemplate
from pipeline.records import ResponseStatus, Split
from pipeline.store import Store
from pipeline.store.members import AUTOMATIC, NOBODY, UNNAMED
from pipeline.store.published import PublishedStore
from pipeline.vote_training import pair_of, prompt_of

Row = dict[str, Any]


def published_files(
    store: Store,
    repo_id: str,
    *,
    salt: str,
    licence: str = NO_LICENCE,
    show_names: bool = False,
    scrub: Callable[[str], str] = lambda text: text,
) -> dict[str, bytes]:
    """Return the published tables and the card by path in the repo; the same workspace gives the same bytes.

    Annotators are pseudonyms that stay the same as long as ``salt``, a secret of the workspace, does; ``show_names`` puts
    the names that people gave themselves in their place. ``licence`` is an identifier of the Hub. ``scrub`` takes secrets
    out of a text.
    """
    rows = published_rows(store, salt, show_names)
    text = card(repo_id, {name: len(found) for name, found in rows.items()}, licence, show_names)
    # Rows are let go as soon as they are written: with their contexts they are the largest thing here.
    files = {table.path: parquet(table, rows.pop(table.name), scrub) for table in TABLES}
    return {**files, "README.md": scrub(text).encode()}


def published_rows(store: Store, salt: str, show_names: bool = False) -> dict[str, list[Row]]:
    """Return the rows of every table by its name, with annotators as pseudonyms or under their names."""
    published = PublishedStore(store.database)
    # What refers to others is read first: a row that is stored meanwhile is then never referred to without being there.
    people = published.votes(), published.responses(), published.adjudications()
    names, find = annotators(store, salt, show_names), store.templates.find
    votes, responses, adjudications = (
        [{**row, "annotator": names[row["annotator_id"]]} for row in rows] for rows in people
    )
    submitted = [row for row in responses if row["status"] == ResponseStatus.SUBMITTED.value]
    # Only answers to the queries of a run are trained on; records from elsewhere are on no side of the border.
    reviews = [row for row in submitted if row["split"] == Split.TRAIN.value and row["answer"]]
    rows = {
        "votes": votes,
        "responses": responses,
        "adjudications": adjudications,
        "sft": [*(_reviewed(row, find) for row in reviews), *vote_training.corrected(votes, find)],
        "preferences": [*_preferred_in_reviews(reviews, find), *vote_training.preferred(votes, find)],
        "unpaired": vote_training.unpaired(votes, find),
        "comparisons": published.comparisons(),
        "records": published.records(),
        "guidelines": published.guidelines(),
        "completions": published.completions(),
        "queries": published.queries(),
        "documents": published.documents(),
    }
    # Inside the workspace the team's own prompts are known by their ids, which say nothing to a reader.
    own = {template.id: template.label for template in store.templates.all()}
    return {name: [_prompt_named(row, own) for row in several] for name, several in rows.items()} if own else rows


def annotators(store: Store, salt: str, show_names: bool = False) -> dict[str, str]:
    """Return what each member is called in the published tables, by id; no two are called the same."""
    members = store.members.names()
    pseudonyms = {member: pseudonym(member, salt) for member in members if member not in NOBODY}
    automatic = {nobody: nobody for nobody in (AUTOMATIC, UNNAMED) if nobody in members or nobody == AUTOMATIC}
    if not show_names:
        return {**pseudonyms, **automatic}
    shared = Counter([*members.values(), *NOBODY])
    told_apart = {
        member: members[member] if shared[members[member]] == 1 else f"{members[member]} ({pseudonym})"
        for member, pseudonym in pseudonyms.items()
    }
    return {**told_apart, **automatic}


def _prompt_named(row: Row, own: Mapping[str, str]) -> Row:
    """Return a row that names its prompt by title and version, where it is one of the team's own."""
    label = own.get(row.get("prompt_template") or "")
    return {**row, "prompt_template": label} if label else row


def _reviewed(response: Row, find: FindTemplate) -> Row:
    messages = chat_row(prompt_of(response, response["prompt_template"], find), response["answer"])["messages"]
    return {**_review_lineage(response), "id": response["id"], "messages": messages}


def _preferred_in_reviews(responses: Sequence[Row], find: FindTemplate) -> Iterator[Row]:
    """Yield the submitted answers that changed the suggestion, over the suggestion."""
    for response in responses:
        if response["edited"]:
            prompt = prompt_of(response, response["prompt_template"], find)
            pair = pair_of(prompt, response["answer"], response["suggestion"])
            models = {"chosen_model": None, "rejected_model": response["model"]}
            yield {**_review_lineage(response), **pair, **models, "id": f"{response['id']}-review"}


def _review_lineage(response: Row) -> Row:
    lineage = {"source": "review", "comparison_id": None, "vote_id": None, "created_at": response["updated_at"]}
    return {**response, **lineage}
