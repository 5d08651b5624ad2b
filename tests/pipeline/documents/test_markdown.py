"""Headings of Markdown, compared with what markdown-it, a complete parser, says of the same text."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.documents.markdown import read_markdown

GUIDE = """---
title: Guide
---
Before any heading.

# Onboarding #
## Accounts `admin`
Text.

```bash
# not a heading
```

   ### [Pass*words*](https://example.org/a_b) {#pw}

Billing
=======
Two lines of
a heading
---
- item
---
~~~
## nor this
```
~~~
<!--
# nor this
-->
    # nor this
#nor this
###### C#
"""


def headings(text: str) -> list[tuple[str, str]]:
    read = read_markdown(text.encode(), "x.md")
    return [(section.heading, text[section.start :].split("\n")[0]) for section in read.sections]


def test_headings_are_labelled_with_the_path_to_them() -> None:
    assert headings(GUIDE) == [
        ("Onboarding", "# Onboarding #"),
        ("Onboarding › Accounts admin", "## Accounts `admin`"),
        ("Onboarding › Accounts admin › Passwords", "   ### [Pass*words*](https://example.org/a_b) {#pw}"),
        ("Billing", "Billing"),
        ("Billing › Two lines of a heading", "Two lines of"),
        ("Billing › Two lines of a heading › C#", "###### C#"),
    ]


def test_text_is_kept_and_line_ends_are_one_kind() -> None:
    assert read_markdown(GUIDE.replace("\n", "\r\n").encode("utf-8-sig"), "x.md").text == GUIDE


def test_headings_go_by_their_level_even_when_one_is_left_out() -> None:
    assert [heading for heading, _ in headings("# A\n### B\n## C\n# D\n### E\n")] == [
        *("A", "A › B", "A › C", "D", "D › E")
    ]


def test_code_in_lists_and_quotes_is_no_heading() -> None:
    text = "1. Run\n   ```\n# in a list\n   ```\n> ~~~\n> # in a quote\n> ~~~\n- ```\n  # in an item\n  ```\n# Real\n"
    assert [heading for heading, _ in headings(text)] == ["Real"]


def test_pictures_written_out_as_base64_are_dropped() -> None:
    text = "# Logo\n\n![logo](data:image/png;base64," + "iVBORw0KGgo" * 50 + ") Our logo.\n"
    assert read_markdown(text.encode(), "x.md").text == "# Logo\n\n![logo]() Our logo.\n"


def test_long_heading_is_cut() -> None:
    assert headings("# " + "word " * 100)[0][0] == ("word " * 24)[:119].rstrip() + "…"


# Lines that make headings, hide them, or look like them. Lists and quotes are left to the test above: what stands in
# them is a heading of the item or quote, not of the document.
LINES = st.sampled_from(
    [
        *(
            "# One",
            "## Two ##",
            "### Three",
            "####### seven",
            "#none",
            "#",
            "## ",
            "  ## Indented",
            "   # Three spaces",
        ),
        *("    # code", "text", "more text", "", "", "===", "---", "  ---  ", "- - -", "***", "```", "````", "``` sh"),
        *("~~~", "~~~~", "`` code ``", "```x``` y", "C# is a language", "\\# escaped", "a | b", "---|---"),
    ]
)


@given(st.lists(LINES, max_size=14))
def test_headings_are_those_of_a_complete_parser(lines: list[str]) -> None:
    text = "\n".join(["first", "", *lines]) + "\n"
    found = [(text[: section.start].count("\n")) for section in read_markdown(text.encode(), "x.md").sections]
    tokens = MarkdownIt("commonmark").parse(text)
    assert found == [token.map[0] for token in tokens if token.type == "heading_open" and token.map]
