"""The HTML of models: the tree of rounds, a model's page, and the rows that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit, urlunsplit

from components import _html, places
from pipeline.lineage import CHANGED, TUNED, Against, ModelPage, Node, RowPage, ShownRun, WholeRow
from pipeline.prompts import Template
from pipeline.ranking.verdict import percent, plural
from pipeline.records import IMPORTED, Model, Split
from pipeline.store.lineage import TrainingData

PROVIDERS = {
    "extractive": "embedded answerer: picks sentences of the passages",
    "openai": "chat model behind an OpenAI-compatible endpoint",
    "local": "local model, runs within the app",
    IMPORTED: "imported with votes, answers nothing here",
}
KEPT_BACK = "Kept back: you still judge this query blind in a comparison. It is shown once you have opened its results."
_SHOWN_RUNS, _SHOWN_MODELS = 30, 20
# Values of a configuration that belong to no sentence and are not shown by themselves.
_LONG = 400
# How words of a configuration are called on the screen.
_WORDS = {
    "max_tokens": "Most tokens",
    "key": "Key",
    "input_price": "Price, read",
    "output_price": "Price, written",
    "top_p": "Top p",
}
# What is said after a value.
_UNITS = {
    "key": "the environment variable that holds it",
    "input_price": "US dollars per million tokens",
    "output_price": "US dollars per million tokens",
}
_NOT_OF_A_PLAN = ("needs", "unavailable", "notes", "price_note")
_SECRET = ("secret", "password", "token_value", "api_key", "authorization")


def tree(nodes: Sequence[Node], chosen: str) -> str:
    """Return all models, each below the one that it came of."""
    items = "".join(_node(node, node.model.id == chosen) for node in nodes)
    return f'<h3 class="pl-title">Rounds</h3><nav aria-label="Models"><ul class="pl-tree">{items}</ul></nav>'


def _node(node: Node, chosen: bool) -> str:
    model = node.model
    marks = {TUNED: f"round {node.round}", CHANGED: "new version"}
    words = [marks.get(node.how, "start")]
    if node.rows is not None:
        words.append(plural(node.rows, "row"))
    if model.provider == IMPORTED:
        words.append("imported")
    if model.retired_at:
        words.append("retired")
    about = f"<small>{_html.esc(' · '.join(words))} · {_html.ago(model.created_at)}</small>"
    link = places.model(model.id, model.name)
    # Deep chains would leave no room for the names.
    depth = min(node.depth, 6)
    current = ' aria-current="true"' if chosen else ""
    return f'<li class="pl-node" style="--depth:{depth}"{current}><div>{link}{about}</div></li>'


def page(found: ModelPage) -> str:
    """Return a model's page."""
    model = found.model
    made = f"tuned {plural(found.round, 'time')} since its first model" if found.round else "not tuned"
    parts = [
        f'<h3 class="pl-model-name">{_html.esc(model.name)}</h3>',
        f'<p class="pl-note">{_html.esc(PROVIDERS.get(model.provider, model.provider))} · {made} · added '
        f"{_html.ago(model.created_at)}{' · retired ' + _html.ago(model.retired_at) if model.retired_at else ''}</p>",
        _family(found),
        _section("What it is", _facts(_what(model)) + _prompt(found.prompt)),
        _section("How it was trained", _training(found)) if found.job else "",
        _section("How it is judged", _judged(found)),
        _section("What it answered", _runs(found.runs, found.single)),
    ]
    return "".join(parts)


def _section(title: str, body: str) -> str:
    return f'<section class="pl-part"><h4>{title}</h4>{body}</section>'


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    """Return (name, HTML) pairs as a list of facts."""
    rows = "".join(f"<dt>{_html.esc(name)}</dt><dd>{value}</dd>" for name, value in facts)
    return f'<dl class="pl-facts">{rows}</dl>'


def _family(found: ModelPage) -> str:
    facts = []
    if found.parent:
        facts.append(("Tuned from", places.model(found.parent.id, found.parent.name)))
    if found.children:
        facts.append(("Tuned into", _links(found.children)))
    if found.replaces:
        facts.append(("New version of", places.model(found.replaces.id, found.replaces.name)))
    if found.replaced_by:
        facts.append(("Replaced by", _links(found.replaced_by)))
    return _facts(facts) if facts else ""


def _links(models: Sequence[Model]) -> str:
    shown = ", ".join(places.model(model.id, model.name) for model in models[:_SHOWN_MODELS])
    return shown + (f" and {len(models) - _SHOWN_MODELS} more" if len(models) > _SHOWN_MODELS else "")


def _what(model: Model) -> list[tuple[str, str]]:
    facts = [
        (_WORDS.get(name, _named(name)), _html.esc(f"{value} ({_UNITS[name]})" if name in _UNITS else value))
        for name, value in _told(model.config)
    ]
    return facts or [("Configuration", "none")]


def _prompt(prompt: Template | None) -> str:
    if prompt is None:
        return ""
    texts = _message("system", prompt.system) + _message("user", prompt.user)
    return f'<details class="pl-more"><summary>Prompt: {_html.esc(prompt.label)}</summary>{texts}</details>'


def _told(config: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return what a configuration holds in words. It never holds a secret; what sounds like one is not shown all the same."""
    told = []
    for name, value in config.items():
        if isinstance(value, dict):
            parts = [f"{_named(part).lower()} {_value(given)}" for part, given in value.items() if not _is_secret(part)]
            value = ", ".join(parts)
        if value not in (None, "", [], ()) and not _is_secret(name):
            told.append((name, _value(value)))
    return told


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET)


def _named(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000:
        return f"{value:,}"
    text = _without_password(str(value))
    return text if len(text) <= _LONG else f"{text[:_LONG]} …"


def _without_password(text: str) -> str:
    """Return a text without the name, the password and the parameters that an address may carry; what is no address stays."""
    if "://" not in text or " " in text:
        return text
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return text
    return urlunsplit((parts.scheme, parts.hostname + port, parts.path, "", "")) if parts.hostname else text


def _training(found: ModelPage) -> str:
    job, data = found.job, found.data
    facts = [("Trainer", _html.esc(job.trainer)), ("State", _html.esc(job.state.value))]
    if job.finished_at:
        facts.append(("Took", f"{_html.span(job.finished_at - job.created_at)}, begun {_html.ago(job.created_at)}"))
    if data:
        facts += _data(data)
    # What a trainer needs and warns of says nothing about this model.
    plan = {name: value for name, value in (job.plan or {}).items() if name not in _NOT_OF_A_PLAN}
    for title, values in (("Chosen", job.settings), ("Planned", plan), ("Reported", job.metrics)):
        if words := _values(values or {}):
            facts.append((title, words))
    return _facts(facts)


def _data(data: TrainingData) -> list[tuple[str, str]]:
    kinds = [
        plural(data.reviews, "reviewed answer") if data.reviews else "",
        plural(data.corrections, "correction out of votes", "corrections out of votes") if data.corrections else "",
        plural(data.preferences, "preference pair") if data.preferences else "",
    ]
    facts = [
        ("Rows", f"{plural(data.rows, 'row')} on {plural(data.queries, 'query', 'queries')}"),
        ("They are", _html.esc(", ".join(kind for kind in kinds if kind) or "of another kind")),
        ("Written by", plural(len(data.annotators), "person", "people")),
    ]
    if data.guidelines:
        told = [
            f"{name}: guidelines {'of an unknown version' if version is None else f'version {version}'} ({plural(rows, 'row')})"
            for name, version, rows in data.guidelines
        ]
        facts.append(("Datasets", "<br>".join(map(_html.esc, told))))
    if data.test_queries:
        words = f"{plural(data.test_queries, 'test query', 'test queries')}: left out where this model is compared"
        facts.append(("Trained on", _html.note(words, "warn")))
    if data.overridden:
        words = f"{plural(data.overridden, 'row')} that the train/test border would have kept out: somebody let them in"
        facts.append(("Overridden", _html.note(words, "warn")))
    return facts


def _values(values: Mapping[str, object]) -> str:
    """Return settings, a plan or metrics in a line; curves are not told one by one."""
    told = [
        f"{_named(name).lower()} {_value(value)}"
        for name, value in values.items()
        if not isinstance(value, list | tuple | dict) and value not in (None, "", False) and "error" not in name
    ]
    return _html.esc(", ".join(told))


def _judged(found: ModelPage) -> str:
    left = ""
    if found.closed:
        are = "comparison is" if found.closed == 1 else "comparisons are"
        left = _html.note(f"{found.closed:,} {are} left out until you open the results.")
    if not found.against:
        none = "No comparison whose results you have opened holds this model."
        return _html.note(none if not found.opened else "No vote on it yet.") + left
    rows = "".join(_against(one, found.model) for one in found.against[:_SHOWN_MODELS])
    heads = (
        "<tr><th>Against</th><th class='pl-num'>Win rate, 95 % interval</th><th class='pl-num'>Votes</th>"
        "<th class='pl-num'>Queries</th><th class='pl-num'>Wins, ties, both bad, losses</th></tr>"
    )
    return (
        f"<div class='pl-scroll' tabindex='0' role='region' aria-label='Win rates of {_html.esc(found.model.name)}'>"
        f"<table class='pl-table'><thead>{heads}</thead><tbody>{rows}</tbody></table></div>{left}"
    )


def _against(one: Against, model: Model) -> str:
    counts, rate = one.counts, one.rate
    interval = f" [{100 * rate.low:.0f} – {100 * rate.high:.0f}]" if rate.low is not None else ""
    won = "–" if rate.rate is None else f"<b>{percent(rate.rate)}</b>{interval}"
    parent = " <small>its parent</small>" if one.is_parent else ""
    title = _html.esc(", ".join(name for _, name in one.sets))
    return (
        f"<tr><td title='{title}'>{places.model(one.other.id, one.other.name)}{parent}</td><td class='pl-num'>{won}</td>"
        f"<td class='pl-num'>{counts.votes:,}</td><td class='pl-num'>{counts.queries:,}</td>"
        f"<td class='pl-num'>{counts.wins:,}, {counts.ties:,}, {counts.both_bad:,}, {counts.losses:,}</td></tr>"
    )


def _runs(runs: Sequence[ShownRun], single: int) -> str:
    alone = (
        _html.note(f"{plural(single, 'query', 'queries')} answered one at a time, on Ask or live.") if single else ""
    )
    if not runs:
        return alone or _html.note("No run yet that can be told of.")
    body = "".join(map(_run, runs[:_SHOWN_RUNS]))
    more = _html.note(f"The newest {_SHOWN_RUNS} of {len(runs):,} runs.") if len(runs) > _SHOWN_RUNS else ""
    heads = (
        "<tr><th>Query list</th><th>State</th><th class='pl-num'>Answered</th><th class='pl-num'>Tokens</th>"
        "<th class='pl-num'>Cost</th><th class='pl-num'>Seconds</th><th>Begun</th></tr>"
    )
    return (
        "<div class='pl-scroll' tabindex='0' role='region' aria-label='Runs'><table class='pl-table'>"
        f"<thead>{heads}{_sum(runs)}</thead><tbody>{body}</tbody></table></div>{more}{alone}"
    )


def _sum(runs: Sequence[ShownRun]) -> str:
    told = [shown.run for shown in runs if shown.taken]
    if len(told) < 2:
        return ""
    tokens, costs = (
        [run.tokens for run in told if run.tokens is not None],
        [run.cost for run in told if run.cost is not None],
    )
    cells = _taken(sum(tokens) if tokens else None, sum(costs) if costs else None, sum(run.seconds for run in told))
    answered = sum(run.answered for run in told)
    return f"<tr class='pl-sum'><td>All</td><td></td><td class='pl-num'>{answered:,}</td>{cells}<td></td></tr>"


def _run(shown: ShownRun) -> str:
    run = shown.run
    split = {Split.TEST: ", test queries", Split.TRAIN: ", train queries"}.get(run.split, "")
    failed = f", {run.failed:,} failed" if run.failed else ""
    hidden = f"<td colspan='3' class='pl-num' title='{_html.esc(_BACK)}'>kept back</td>"
    taken = _taken(run.tokens, run.cost, run.seconds) if shown.taken else hidden
    return (
        f"<tr><td class='pl-wide'>{_html.esc(run.query_set)}{split}</td><td>{run.state}</td>"
        f"<td class='pl-num'>{run.answered:,} of {run.total:,}{failed}</td>{taken}<td>{_html.ago(run.created_at)}</td></tr>"
    )


_BACK = "Kept back until you have opened the results of the comparison that rests on this run."


def _taken(tokens: int | None, cost: float | None, seconds: float) -> str:
    cells = ("–" if tokens is None else f"{tokens:,}", "–" if cost is None else f"${cost:,.4f}", f"{seconds:,.1f}")
    return "".join(f"<td class='pl-num'>{cell}</td>" for cell in cells)


def rows(found: RowPage, model_id: str) -> str:
    """Return a page of training rows."""
    if not found.rows:
        return _html.note("No row has these words in its query.")
    body = "".join(
        f"<tr><td class='pl-num'>{row.position + 1}</td>"
        f"<td class='pl-wide'>{places.row(model_id, row.id, row.query)}</td>"
        f"<td>{'preference' if row.kind == 'preference' else 'vote' if row.vote_id else 'review'}</td>"
        f"<td class='pl-wide'>{_learned(row.answer, row.id in found.blind)}</td>"
        f"<td>{row.split}{' · overridden' if row.overridden else ''}</td></tr>"
        for row in found.rows
    )
    return (
        "<div class='pl-scroll' tabindex='0' role='region' aria-label='Training rows'><table class='pl-table'><thead><tr>"
        "<th class='pl-num'>#</th><th>Query</th><th>From</th><th>Answer to learn</th><th>Split</th></tr></thead>"
        f"<tbody>{body}</tbody></table></div>{places.pager(found.page, found.pages, found.total, 'row')}"
    )


def _learned(answer: str, blind: bool) -> str:
    text = "kept back" if blind else _html.esc(answer)
    return f"<span class='pl-clip' title='{_html.esc(KEPT_BACK) if blind else text}'>{text}</span>"


def row(found: WholeRow, model_id: str) -> str:
    """Return one training row with what is behind it."""
    item = found.row
    steps = [
        places.row(model_id, found.before, "Row before") if found.before else "",
        places.row(model_id, found.after, "Row after") if found.after else "",
        places.link(f"?tab=tune&model={model_id}", "Close"),
    ]
    title = (
        f'<h4>Row {found.number}: {_html.esc(item.query)}</h4><p class="pl-steps">{" ".join(filter(None, steps))}</p>'
    )
    facts = [("Came of", _source(found)), ("Query", f"{item.split} query")]
    if item.overridden:
        facts.append(
            ("Overridden", _html.note("The train/test border would have kept it out: somebody let it in.", "warn"))
        )
    begins = f'<section class="pl-part pl-open-row" data-opened="{_html.esc(item.id)}">{title}{_facts(facts)}'
    if found.blind:
        return f"{begins}{_html.note(KEPT_BACK)}</section>"
    answers = _message("Answer to learn" if item.rejected is None else "Preferred answer", item.answer)
    answers += _message("Rejected answer", item.rejected) if item.rejected is not None else ""
    seen = "".join(_message(str(m.get("role", "")), str(m.get("content", ""))) for m in item.messages[:-1])
    prompt = f'<details class="pl-more"><summary>The prompt as the model sees it</summary>{seen}</details>'
    chunks = _html.sources(found.contexts, scores=False, opened=1) if found.contexts else _html.note(_NO_PASSAGE)
    return f'{begins}{answers}{prompt}<p class="pl-label">The passages behind it</p>{chunks}</section>'


_NO_PASSAGE = "No passage was given."


def _source(found: WholeRow) -> str:
    item = found.row
    by = f" by {_html.esc(found.person)}" if found.person else ""
    if item.vote_id:
        if not found.may_read:
            return "a vote in a comparison whose results you have not opened"
        return (
            f"{places.vote(item.vote_id, 'the vote')}{by} that a better answer was written with"
            if item.kind == "sft"
            else (f"{places.vote(item.vote_id, 'the vote')}{by} that preferred one answer")
        )
    if item.record_id:
        version = f", guidelines version {item.guidelines_version}" if item.guidelines_version else ""
        where = _html.esc(item.dataset or "")
        return f"{places.record(item.record_id, 'the record')} in {where}: submitted{by}{version}"
    return "a response that is not here any more"


def _message(role: str, text: str) -> str:
    return f'<div class="pl-message"><b>{_html.esc(role)}</b><div dir="auto" tabindex="0">{_html.esc(text)}</div></div>'
