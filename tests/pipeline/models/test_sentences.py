import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.models.sentences import split_prose, split_sentences

HANDBOOK = Path(__file__).resolve().parents[3] / "pipeline" / "example" / "handbook"


def texts(text: str, heading: str = "") -> list[str]:
    return [sentence.text for sentence in split_sentences(text, heading)]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith pays 1.99 at 3 p.m. in the U.S. store.",
        "See e.g. Fig. 3 and No. 7, i.e. the last ones.",
        "J. R. R. Tolkien wrote it.",
        "Open argilla.io or example.com/a.b now.",
        "Version 3.11 and pip 24.0 are needed.",
        "Call json.Loads.x in System.Out.println code.",
    ],
)
def test_a_full_stop_within_a_sentence_does_not_end_it(text):
    assert split_prose(text) == [text]


def test_sentences_end_at_their_marks_in_several_scripts():
    assert split_prose('It works. "Does it?" Yes! (It does.) 12 times.') == [
        "It works.",
        '"Does it?"',
        "Yes!",
        "(It does.)",
        "12 times.",
    ]
    assert split_prose("黑豹队只丢了308分。他们赢了！是吗？") == ["黑豹队只丢了308分。", "他们赢了！", "是吗？"]
    assert split_prose("هل هو هنا؟ نعم هو هنا.") == ["هل هو هنا؟", "نعم هو هنا."]


def test_a_blank_that_was_lost_behind_a_full_stop_still_parts_sentences():
    text = "It serves data curation.The service is safe.(1) Critical Issues need help."

    assert texts(text) == ["It serves data curation.", "The service is safe.", "Critical Issues need help."]


def test_markdown_becomes_plain_text():
    text = (
        "# Title\n\nSome **bold** and *slanted* text with `code_name`, a [link](http://a.b/c) and snake_case_word. "
        "It has 2 * 3 * 4 and a note [12] that stays out. ![Picture](x.png)\n"
    )

    assert texts(text) == [
        "Some bold and slanted text with code_name, a link and snake_case_word.",
        "It has 2 * 3 * 4 and a note that stays out.",
        "Picture.",
    ]


def test_quotes_lose_their_marks_and_comparisons_keep_theirs():
    assert texts("> Quoted text goes here,\n> on two lines.\n\nIt holds that a > b and b < c.") == [
        "Quoted text goes here, on two lines.",
        "It holds that a > b and b < c.",
    ]


def test_lines_of_nothing_but_markup_say_nothing():
    assert texts("<html>\n<p>It is here.</p>\n</html>\n\n<br>\n****\n[^1]") == ["It is here."]


@pytest.mark.shared_data
def test_every_text_file_can_be_split(shared_data):
    for path in (shared_data / "documents").glob("*"):
        if path.suffix in (".txt", ".md", ".html", ".csv"):
            text = path.read_text("utf-8", errors="replace")
            for start in range(0, len(text), 1500):
                assert all(sentence for sentence in texts(text[start : start + 1500]))


def test_items_lose_their_bullets_and_get_a_full_stop():
    long = "x" * 120
    text = f"- First item\n- second item,\n  which goes on\n* Third. Item\n1. {long}\n2) Last\n"

    assert texts(text) == ["First item.", "second item, which goes on.", "Third.", "Item.", f"{long}.", "Last."]


def test_a_short_list_goes_into_the_sentence_that_leads_to_it():
    assert texts("We need:\n\n- your name\n- your address.\n\nThen we start.") == [
        "We need: your name; your address.",
        "Then we start.",
    ]


def test_items_of_a_long_list_stand_under_what_leads_to_them():
    first, second = "alpha " * 25, "beta " * 25

    sentences = split_sentences(f"The rules are:\n- {first}\n- {second}\n", "Rules")

    assert [sentence.under for sentence in sentences] == ["Rules", "Rules The rules are", "Rules The rules are"]
    assert sentences[0].text == "The rules are."


def test_rows_of_tables_are_sentences_with_the_names_of_their_columns():
    assert texts("| Plan | Records | Price |\n|---|---|---|\n| Base | 3 million | 10 |\n| Large | | 20 |\n") == [
        "Base: Records 3 million, Price 10.",
        "Large: Price 20.",
    ]
    assert texts("Key | Use\n---|---\nZ | Undo the vote") == ["Z: Undo the vote."]
    assert texts("Plan\tPrice\nPlan: Base; Price: 10\nPlan: Large; Price: 20") == [
        "Plan: Base; Price: 10.",
        "Plan: Large; Price: 20.",
    ]


def test_headings_are_remembered_and_not_said():
    text = (
        "# Guide\n\n## Onboarding\n\nIt takes a day.\n\nPrices\n------\nIt costs 10 euros.\n\n"
        "Support hours\nWe are there from 8 to 17."
    )

    sentences = split_sentences(text)

    assert [(sentence.text, sentence.under) for sentence in sentences] == [
        ("It takes a day.", "Onboarding"),
        ("It costs 10 euros.", "Prices"),
        ("We are there from 8 to 17.", "Support hours"),
    ]


def test_sentences_after_a_label_stand_under_it():
    text = "Starter: Slack community. Severity 1 - response in 4 hours. Base: Ticketing system. Severity 1 - response in 2 hours."

    sentences = split_sentences(text, "Support")

    assert [sentence.under for sentence in sentences] == ["Support", "Support Starter", "Support", "Support Base"]


def test_lines_broken_for_width_are_joined_and_short_lines_are_not():
    wrapped = "This line was broken because it had become too long for\nthe page. It goes on here."
    listed = "Full name\nPreferred user name\nAddress"

    assert texts(wrapped) == [
        "This line was broken because it had become too long for the page.",
        "It goes on here.",
    ]
    assert texts(listed) == ["Full name.", "Preferred user name.", "Address."]


def test_halves_at_the_ends_of_a_chunk_are_left_out():
    assert texts("forming a layer of security. It is on. In the case of an issue,") == ["It is on."]
    assert texts("forming a layer") == ["forming a layer."]


def test_a_chunk_of_headings_only_is_not_mute():
    assert texts("# Overview\n\n## Next steps") == ["Overview.", "Next steps."]
    assert texts("") == []


def test_code_is_kept_as_it_is():
    assert texts("Install it with:\n\n```\npip install *some_thing*\n```\n") == [
        "Install it with: pip install *some_thing*."
    ]


def test_every_sentence_of_the_handbook_stands_in_it_word_for_word():
    for path in HANDBOOK.glob("*.md"):
        text = path.read_text("utf-8")
        plain = re.sub(r"\W+", " ", text)
        for sentence in texts(text):
            assert re.sub(r"\W+", " ", sentence).strip() in plain
            assert sentence[-1] in '.!?"”)'


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet=st.sampled_from("aB1 .:;|-*#_`[]()\n\t\\<>!。，中"), max_size=120))
def test_any_text_is_split_without_loss_of_order_or_empty_sentences(text):
    sentences = texts(text)

    assert all(sentence.strip() == sentence != "" for sentence in sentences)
    assert not any("\n" in sentence for sentence in sentences)
