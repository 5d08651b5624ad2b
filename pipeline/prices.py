"""What an answer cost."""

from __future__ import annotations

from collections.abc import Mapping

MILLION = 1_000_000


def price(config: Mapping[str, object], prompt_tokens: int | None, completion_tokens: int | None) -> float | None:
    """Return what a request cost in US dollars, by the prices in a model's configuration.

    None where the model has no price, or the endpoint did not count the tokens: that is not known, and not nothing.
    """
    prices = config.get("input_price"), config.get("output_price")
    counts = prompt_tokens, completion_tokens
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in (*prices, *counts)):
        return None
    return sum(dollars * tokens for dollars, tokens in zip(prices, counts, strict=True)) / MILLION
