"""What an answer cost, as a number and in words."""

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
    return sum(per_million * tokens for per_million, tokens in zip(prices, counts, strict=True)) / MILLION


def dollars(amount: float) -> str:
    """Return an amount of US dollars with as many digits as say something: cents, or fractions of one."""
    if amount == 0:
        return "$0"
    if amount >= 0.01:
        return f"${amount:,.2f}"
    return f"${amount:.6f}".rstrip("0") if amount >= 0.000001 else "under $0.000001"
