"""The models of a workspace as a table, and what a test of one brought, in HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from components import _html
from pipeline.chat_configs import ChatConfig
from pipeline.models.replies import Probe
from pipeline.prices import dollars, price
from pipeline.records import Model

_HEAD = "<th>Model</th><th>What it is</th><th>Prompt</th><th>Price</th><th>Came of</th><th>Added</th>"


def models_html(models: Sequence[Model], words: Callable[[Model], str], prompt: Callable[[Model], str]) -> str:
    """Return the registry: what is offered, and folded below it what is retired. ``words`` says what a model is."""
    names = {model.id: model.name for model in models}
    offered = [model for model in models if model.retired_at is None]
    retired = [model for model in models if model.retired_at is not None]

    def table(listed: Sequence[Model]) -> str:
        rows = "".join(_row(model, names, words(model), prompt(model)) for model in listed)
        return (
            "<div class='pl-scroll' tabindex='0'><table class='pl-table pl-stack'>"
            f"<thead><tr>{_HEAD}</tr></thead><tbody>{rows}</tbody></table></div>"
        )

    if not retired:
        return table(offered)
    return (
        f"{table(offered)}<details class='pl-retired'><summary>Retired: {len(retired)}. What they answered stays."
        f"</summary>{table(retired)}</details>"
    )


def _row(model: Model, names: dict[str, str], words: str, prompt: str) -> str:
    came = names.get(model.replaces_id or "", "") or names.get(model.parent_id or "", "")
    how = "replaces " if model.replaces_id in names else "tuned from " if came else ""
    return (
        f"<tr><td><b>{_html.esc(model.name)}</b></td>"
        f"<td class='pl-wide' data-label='What it is'><span>{_html.esc(words)}{_key(model)}</span></td>"
        f"<td data-label='Prompt'>{_html.esc(prompt)}</td><td data-label='Price'>{_html.esc(_price(model))}</td>"
        f"<td data-label='Came of'>{_html.esc(how + came)}</td><td data-label='Added'>{_html.ago(model.created_at)}</td></tr>"
    )


def _key(model: Model) -> str:
    key = model.config.get("key")
    return f"<br><span class='pl-quiet'>key in <code>{_html.esc(key)}</code></span>" if key else ""


def _price(model: Model) -> str:
    read, written = (model.config.get(name) for name in ("input_price", "output_price"))
    if not all(isinstance(amount, int | float) for amount in (read, written)):
        return ""
    return f"{_each(read)} read, {_each(written)} written, per million tokens"


def _each(amount: float) -> str:
    return f"${amount:,.2f}" if round(amount, 2) == amount else f"${amount:g}"


def probe_html(probe: Probe, config: ChatConfig) -> str:
    """Return what came back from a test, as it came, with its facts."""
    facts = [f"{probe.seconds:.2f} s"]
    if probe.prompt_tokens is not None and probe.completion_tokens is not None:
        facts.append(f"{probe.prompt_tokens:,} tokens read, {probe.completion_tokens:,} written")
    else:
        facts.append("the endpoint counted no tokens")
    facts.append(f"it calls itself {probe.model}" if probe.model else "it does not say which model it is")
    cost = price(config.to_config(), probe.prompt_tokens, probe.completion_tokens)
    if cost is not None:
        facts.append(f"{dollars(cost)} at this price")
    if probe.finish_reason == "length":
        facts.append("cut off at the most tokens")
    said = "".join(f"<li>{_html.esc(fact)}</li>" for fact in facts)
    reply = probe.text if probe.text.strip() else "(an empty reply)"
    return (
        f"{_html.note('It answers. Nothing is registered yet.', 'good')}<ul class='pl-list'>{said}</ul>"
        f"<p class='pl-label'>Its reply, as it came</p><pre class='pl-raw' tabindex='0'>{_html.esc(reply)}</pre>"
    )
