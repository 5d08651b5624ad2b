"""The part of Tune that says what there is to train on: the data card with its checks, and one row as the model sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from components import _html
from pipeline.export import token_unit
from pipeline.finetune.rows import Method, Row, split_by_query
from pipeline.finetune.tuner import NO_PAIRS, DataCard
from pipeline.ranking.verdict import plural

BUILT_IN = "embedded"


def data_card(card: DataCard) -> str:
    """Return rows, queries, tokens and checks."""
    pairs = card.method is Method.DPO
    if not card.rows:
        text = "No answer to a train query was submitted yet. Review some records on Edit; drafts and discards never count."
        return _html.empty("No pairs yet" if pairs else "No rows yet", NO_PAIRS if pairs else text)
    numbers = [
        (f"{len(card.rows):,}", "preference pairs" if pairs else "rows"),
        (f"{card.queries:,}", "queries" if card.barred else "train queries"),
        (f"{card.tokens:,}", f"tokens, counted as {token_unit()}"),
        (f"{max(card.checks.tokens):,}", "tokens in the longest row"),
    ]
    numbers += [] if pairs else [(f"{card.unchanged:,}", "answers kept as suggested")]
    numbers += (
        [(f"{card.corrections:,}", "out of votes" if pairs else "corrections out of votes")] if card.corrections else []
    )
    cards = "".join(f'<div class="pl-card"><b>{value}</b><span>{label}</span></div>' for value, label in numbers)
    return f'<div class="pl-cards">{cards}</div>{_checks(card)}'


def _checks(card: DataCard) -> str:
    notes = []
    if card.problems:
        notes += [_html.note(f"Row {problem.line}: {problem.message}", "bad") for problem in card.problems[:5]]
    elif card.method is Method.DPO:
        notes.append(
            _html.note("Every pair has two different answers, and passes the checks of OpenAI and TRL.", "good")
        )
    else:
        notes.append(_html.note("Every row passes OpenAI's checks of the chat format.", "good"))
    if card.duplicates:
        says = "row says" if card.duplicates == 1 else "rows say"
        notes.append(
            _html.note(f"{card.duplicates} {says} the same as another one: it counts as often in training.", "warn")
        )
    left_out = [
        (card.drafts, plural(card.drafts, "draft")),
        (card.discarded, f"{card.discarded} discarded"),
        (card.test_rows, f"{plural(card.test_rows, 'answer')} to test queries, which are kept for Compare"),
    ]
    words = ", ".join(said for count, said in left_out if count)
    if words:
        notes.append(_html.note(f"Left out: {words}."))
    if card.overridden:
        notes.append(_html.note(overridden(card.overridden, card.override), "warn"))
    if card.barred:
        which = "test query is" if card.barred == 1 else "test queries are"
        notes.append(
            _html.note(f"{card.barred} {which} trained on, and left out when the tuned model is compared.", "warn")
        )
    notes.append(_split(card))
    if len(card.rows) < 10:
        notes.append(_html.note("Fewer than 10 rows: the tuned model will stay close to its parent.", "warn"))
    return "".join(notes)


def _split(card: DataCard) -> str:
    if card.queries < 10:
        return ""
    train, validation = split_by_query(card.rows, 0.1)
    return _html.note(
        f"Trainers that validate hold back {plural(len(validation), 'row')} of {plural(len(card.rows), 'row')} by query: "
        f"no query is on both sides ({len(train)} to train on).",
        "good",
    )


def overridden(rows: int, reason: str) -> str:
    """Return the mark of a card, a job or a model that was trained on queries which are kept for comparisons."""
    which = "1 row answers a test query" if rows == 1 else f"{rows} rows answer test queries"
    return f"{which}, let in by an owner: {reason}" if reason else f"{which}, let in by an owner."


def preview(rows: Sequence[Row], blind: Collection[str] = ()) -> str:
    """Return the messages of the first row; of a pair the answer that was not preferred too.

    Rows of queries that the reader still judges ``blind`` are passed over.
    """
    rows = [row for row in rows if row.query_id not in blind]
    if not rows:
        return _html.note("The first row will stand here.")
    row = rows[0]
    shown = [(message["role"], message["content"]) for message in row.messages]
    if row.rejected is not None:
        shown = [*shown[:-1], ("assistant, preferred", row.answer), ("assistant, not preferred", row.rejected)]
    return "".join(
        f'<div class="pl-message"><b>{_html.esc(role)}</b><div dir="auto" tabindex="0">{_html.esc(content)}</div></div>'
        for role, content in shown
    )
