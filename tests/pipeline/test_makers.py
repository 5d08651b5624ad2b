"""Answers that name their maker: the name is hidden, and a text about a maker stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.makers import MASK, masked, names_its_maker


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("As ChatGPT, I cannot.", f"As {MASK}, I cannot."),
        ("I am Claude and I help.", f"I am {MASK} and I help."),
        ("I'm Claude 3.5 Sonnet, made by Anthropic.", f"I'm {MASK}, made by {MASK}."),
        ("As an AI language model developed by OpenAI, I", f"As an AI language model developed by {MASK}, I"),
        ("I am a large language model, trained by Google.", f"I am a large language model, trained by {MASK}."),
        ("My name is Qwen2.5.", f"My name is {MASK}."),
        ("i was created by Mistral AI to help", f"i was created by {MASK} to help"),
    ],
)
def test_what_an_answer_says_of_itself_is_masked(text, expected):
    assert masked(text) == expected and names_its_maker(text)


@pytest.mark.parametrize(
    "text",
    [
        "Argilla was built by Hugging Face, as Google says.",
        "The Gemini constellation, as seen from Meta.",
        "The phone is made by Google. I like it.",
        "Claude Monet was a painter.",
        "Costs as of 2024: 5 %.",
    ],
)
def test_a_text_about_makers_stays(text):
    assert masked(text) == text and not names_its_maker(text)


def test_registered_names_are_masked_where_they_can_hardly_be_words():
    names = ["gpt-4o-mini", "extractive-base", "base", "Moss"]
    text = "The base of extractive-base, not extractive-base-2: Moss. GPT-4o-mini!"
    assert masked(text, names) == f"The base of {MASK}, not extractive-base-2: Moss. {MASK}!"


@given(st.text(max_size=300), st.lists(st.text(max_size=12), max_size=4))
def test_masking_twice_is_masking_once(text, names):
    once = masked(text, names)
    assert masked(once, names) == once
