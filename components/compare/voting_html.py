"""The answers that are judged, as HTML: the same markup for all of them, whatever wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from components import _html
from pipeline.comparison_settings import VoteForm
from pipeline.comparisons import BlindPair
from pipeline.records import Outcome

LETTERS = "ABCDEF"
VERDICTS = (
    (Outcome.MODEL_A, "A"),
    (Outcome.TIE, "tie"),
    (Outcome.BOTH_BAD, "both bad"),
    (Outcome.MODEL_B, "B"),
)


def pair_html(pair: BlindPair, ranks: Sequence[int] = ()) -> str:
    """Return the query and its answers; ``ranks`` are places given before, of a ranking that was taken back."""
    ranking = pair.settings.form is VoteForm.RANKING
    cited, count = len(pair.contexts), len(pair.texts)
    sides = "".join(
        f'<section class="pl-side" aria-label="Answer {letter}"><h3>{letter}</h3>'
        f'<div class="pl-side-text" tabindex="0">{_html.answer(text, cited)}</div>'
        f"{_places(letter, count, ranks[n] if n < len(ranks) else 0) if ranking else ''}</section>"
        for n, (letter, text) in enumerate(zip(LETTERS, pair.texts, strict=False))
    )
    read = pair.settings.min_read_seconds
    shows = f'data-shows="{_html.esc(pair.comparison_id)}"' + (f' data-read="{read:g}"' if read else "")
    # Filled by the page while the time runs.
    wait = '<p id="vote-read" class="pl-note" role="status"></p>' if read else ""
    many = " pl-many" if count > 2 else ""
    return f'<h3 class="pl-query" dir="auto" {shows}>{_html.esc(pair.query)}</h3><div class="pl-pair{many}">{sides}</div>{wait}'


def _places(letter: str, count: int, chosen: int) -> str:
    choices = "".join(
        f'<label><input type="radio" name="place-{letter}" value="{place}"'
        f"{' checked' if place == chosen else ''}>{place}</label>"
        for place in range(1, count + 1)
    )
    return (
        f'<fieldset class="pl-places" data-place-of="{letter}"><legend>Place of {letter}, 1 is best</legend>'
        f"{choices}</fieldset>"
    )


def criteria_html(names: Sequence[str], given: Mapping[str, Outcome]) -> str:
    """Return a verdict to choose for each criterion, or nothing without any."""
    if not names:
        return ""
    rows = "".join(_criterion(number, name, given.get(name)) for number, name in enumerate(names))
    return f'<div class="pl-criteria"><p class="pl-label">More precisely (optional)</p>{rows}</div>'


def _criterion(number: int, name: str, chosen: Outcome | None) -> str:
    choices = "".join(
        f'<label><input type="radio" name="criterion-{number}" value="{outcome.value}"'
        f"{' checked' if outcome is chosen else ''}>{words}</label>"
        for outcome, words in VERDICTS
    )
    return f'<fieldset data-criterion="{_html.esc(name)}"><legend dir="auto">{_html.esc(name)}</legend>{choices}</fieldset>'


def told_html(names: Sequence[str]) -> str:
    """Return who wrote what was judged last, where that is shown after each vote."""
    if not names:
        return ""
    parts = [f"{letter} was {_html.esc(name)}" for letter, name in zip(LETTERS, names, strict=False)]
    return f'<p class="pl-note pl-good">✓ Your last vote: {", ".join(parts)}.</p>'
