"""The checks of one comparison: what could have bent its result, each with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from components import _html
from pipeline import ranking
from pipeline.agreement import votes_agreement
from pipeline.ranking.adjusted import LENGTH
from pipeline.ranking.verdict import p_text, percent, plural
from pipeline.records import Vote

# A result that moves by more than this once length and citations are accounted for owes them something.
MOVES = 0.05
LISTED = 5
EXPLAINED = (
    (
        "Sides",
        "Decisive votes are those for A or B. People who favour a place make real differences harder to see; they help "
        "neither model, as the sides are balanced. The interval is Wilson's, the test a two-sided sign test.",
    ),
    (
        "Length and citations",
        "Votes are explained by how much longer one answer is, and how many more sources it cites (logistic regression); "
        "the adjusted win rate is what remains where both are equal. Odds above 1 are in favour of more, for a step of one "
        "standard deviation. A longer answer may also be longer because it says more.",
    ),
    (
        "Agreement",
        "Unanimous pairs got the same verdict from everybody who judged them, of those that two people or more have judged. "
        "Krippendorff's α says how far people agree beyond chance; from 0.667 on, tentative conclusions are usual.",
    ),
    (
        "People unlike all others",
        "Each person's votes are held against the majority of all others on the same pairs. A binomial test asks whether "
        "they agree less than the others do; p is corrected for having looked at everybody (Holm).",
    ),
    (
        "Fast votes",
        "Nobody reads two answers in so short a time. These votes are counted all the same, with the people who gave them.",
    ),
)


def checks(
    votes: Sequence[Vote], names: Mapping[str, str] | None = None, adjusted: ranking.AdjustedRate | None = None
) -> str:
    """Return the checks; ``names`` are those of people by their ids, ``adjusted`` is None where it is not asked for."""
    people = [vote for vote in votes if vote.annotator]
    known = names or {}
    notes = ['<h3 class="pl-title">Checks</h3>', _sides(people)]
    if adjusted is not None:
        notes.append(_adjusted(adjusted))
    if people:
        notes += [_unanimity(people), _agreement(people), _dissent(people, known), _hurry(people, known)]
    told = "".join(f"<p><b>{name}.</b> {_html.esc(text)}</p>" for name, text in EXPLAINED)
    return "".join(notes) + f'<details class="pl-more"><summary>What these checks mean</summary>{told}</details>'


def _sides(people: Sequence[Vote]) -> str:
    left = ranking.left_share(people)
    if left.rate is None:
        return _html.note("No decisive vote yet, so nothing can be said about the sides.")
    words = (
        f"Side A won {left.count} of {left.total} decisive votes: {100 * left.rate:.0f} % "
        f"[{100 * left.low:.0f} – {100 * left.high:.0f}], sign test p {p_text(left.p_value)}."
    )
    if left.p_value >= 0.05:
        return _html.note(words, "good")
    return _html.note(words + " The side seems to matter: be careful.", "warn")


def _adjusted(found: ranking.AdjustedRate) -> str:
    if found.rate is None:
        return _html.note(f"Length and citations: {found.note}")
    out = f" {plural(found.left_out, 'vote')} left out: the answers are not known." if found.left_out else ""
    if not found.effects:
        same = "The answers do not differ in length or citations, so there is nothing to adjust for."
        return _html.note(found.note or same, "" if found.note else "good")
    words = (
        f"If both answers were equally long and had as many citations, {found.first} would have a win rate of "
        f"{percent(found.rate)}{_interval(found.low, found.high)} instead of {percent(found.plain)} "
        f"({plural(found.votes, 'vote')} on {plural(found.queries, 'query', 'queries')})."
    )
    words += "".join(f" {_effect(effect, found.first)}" for effect in found.effects)
    moved = abs(found.rate - found.plain) >= MOVES or (found.rate - 0.5) * (found.plain - 0.5) < 0
    return _html.note(f"{words} {found.note}".strip() + out, "warn" if moved or found.note else "good")


def _effect(effect: ranking.Effect, first: str) -> str:
    more = "the longer answer" if effect.trait == LENGTH else "the answer with more citations"
    # A model that has nothing of a trait has no "per cent more" to be compared with.
    size = ""
    if effect.trait == LENGTH and abs(effect.mean) < 0.99:
        ratio = (1 + effect.mean) / (1 - effect.mean)
        if abs(ratio - 1) >= MOVES:
            way = "longer" if ratio > 1 else "shorter"
            size = f"Answers of {first} are typically {100 * abs(ratio - 1):.0f} % {way}; "
    won = f"{more} won {effect.for_more} of {plural(effect.decisive, 'decisive vote')} where they differ"
    return f"{size}{won if size else won[0].upper() + won[1:]} (odds × {effect.odds:.2g} [{effect.low:.2g} – {effect.high:.2g}])."


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{100 * low:.0f} – {100 * high:.0f}]"


def _unanimity(people: Sequence[Vote]) -> str:
    found = ranking.unanimity(people)
    if found.rate is None:
        return _html.note("No pair was judged by two people, so nothing can be said about unanimity.")
    of = plural(found.judged, "pair")
    return _html.note(
        f"{found.unanimous} of {of} judged by two people or more "
        f"{'is' if found.unanimous == 1 else 'are'} unanimous: {100 * found.rate:.0f} %{_interval(found.low, found.high)}."
    )


def _agreement(people: Sequence[Vote]) -> str:
    found = votes_agreement(people)
    if found.alpha is None:
        return _html.note(f"Agreement among annotators cannot be told. {found.reason}")
    interval = "" if found.low is None else f" [{found.low:.2f} – {found.high:.2f}]"
    words = (
        f"Annotators agree with α = {found.alpha:.2f}{interval} over {plural(found.units, 'pair')} and "
        f"{plural(found.raters, 'person', 'people')} (Krippendorff; 1 is always, 0 is what chance gives)."
    )
    # Krippendorff's own mark for tentative conclusions.
    return _html.note(words, "good" if found.alpha >= 0.667 else "warn")


def _dissent(people: Sequence[Vote], names: Mapping[str, str]) -> str:
    found = ranking.dissent(people)
    if not found:
        return _html.note("Too few pairs have a majority to say whether somebody disagrees with everyone.")
    looked = plural(len(found), "person", "people")
    flagged = [one for one in found if one.flagged]
    if not flagged:
        return _html.note(f"Nobody of {looked} disagrees with everyone (binomial test, Holm's correction).", "good")
    return "".join(
        _html.note(
            f"{_name(one.annotator, names)} agrees with the majority of the others on {one.agreed} of "
            f"{plural(one.judged, 'pair')} ({100 * one.rate:.0f} %); the others do on {100 * one.others:.0f} %. "
            f"p {p_text(one.adjusted)}, corrected for {looked}. The votes count all the same.",
            "warn",
        )
        for one in flagged
    )


def _hurry(people: Sequence[Vote], names: Mapping[str, str]) -> str:
    found = ranking.fast_votes(people)
    if not found.timed:
        return _html.note("No vote has a known time, so nothing can be said about hurried votes.")
    of = plural(found.timed, "vote") + (" with a known time" if found.untimed else "")
    if not found.fast:
        return _html.note(f"None of {of} took under {found.under:g} s.", "good")
    whose = [f"{_name(who, names)} {fast} of {timed}" for who, fast, timed in found.annotators[:LISTED]]
    more = len(found.annotators) - len(whose)
    listed = ", ".join(whose) + (f", and {plural(more, 'other')}" if more else "")
    return _html.note(f"{found.fast} of {of} took under {found.under:g} s ({listed}). They count all the same.", "warn")


def _name(annotator: str, names: Mapping[str, str]) -> str:
    return names.get(annotator) or "Somebody"
