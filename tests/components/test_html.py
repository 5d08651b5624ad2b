"""What comes from documents, models and people is text on the screen, whatever it holds: never an element or an attribute."""

import re
import time
from dataclasses import replace

import lxml.html
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components import _html, header, viewer
from components.ask import documents, runs
from components.compare import voting_html
from components.settings import model_table
from components.tune import data as tune_data
from components.tune import jobs as tune_jobs
from pipeline.comparison_settings import ComparisonSettings
from pipeline.comparisons import BlindPair
from pipeline.finetune.rows import Row as TuneRow
from pipeline.generation import Row as RunRow
from pipeline.library import Added
from pipeline.records import (
    Completion,
    Context,
    Document,
    JobState,
    Model,
    Query,
    Retrieval,
    Run,
    Split,
)
from pipeline.run_files import shown_rows
from pipeline.store.documents import DocumentSummary
from pipeline.store.training import TrainingJob

# What Markdown may become. Nothing that loads, leads or runs anything is among it.
PLAIN = "p h1 h2 h3 h4 h5 h6 em strong code pre ul li blockquote hr br table thead tbody tr"
MARKDOWN = {
    **{tag: set() for tag in PLAIN.split(" ")},
    "ol": {"start"},
    "th": {"style"},
    "td": {"style"},
    "div": {"class", "dir"},
    "span": {"class", "title"},
    "button": {"type", "class", "data-cite", "aria-label"},
}
PAYLOADS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    '<img src=x onerror="alert(1)">',
    "<img src=x onerror=alert(1)//",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "</div></section><script>alert(1)</script>",
    "</textarea></title></style></script><b>out</b>",
    "<!-- --><!--> <b>x</b> -->",
    "<![CDATA[<b>x</b>]]> <?php echo 1 ?> <!DOCTYPE html>",
    "<a href='javascript:alert(1)'>click</a>",
    "<form action=//evil.example><input name=q autofocus onfocus=alert(1)></form>",
    "<style>*{display:none}</style><link rel=stylesheet href=//evil.example>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "[click](javascript:alert(1))",
    '[click](JaVaScRiPt:alert(1) "title")',
    "[click](&#106;avascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[click](vbscript:msgbox(1)) [file](file:///etc/passwd)",
    '[click](https://evil.example "" onmouseover=alert(1) x="")',
    '[click](https://evil.example/"onmouseover="alert(1))',
    "[a]: https://evil.example/ '\"><script>alert(1)</script>'\n\nSee [a] and [it][a].",
    '<https://evil.example/?a="><b>> <mailto:x@evil.example> https://evil.example',
    "![x](https://evil.example/pixel.png)",
    '![x](data:image/svg+xml;base64,PHN2Zy8+ "t") ![](javascript:alert(1))',
    '![" onerror="alert(1)](x)',
    '![<script>alert(1)</script>](x "<b>")',
    "[![x](https://evil.example/a.png)](https://evil.example)",
    "{{ 7*7 }} {{constructor.constructor('alert(1)')()}}",
    "${alert(1)} #{7*7} <%= 7*7 %> `${1}`",
    "{@html '<b>x</b>'} {#if true}x{/if}",
    "`<script>alert(1)</script>` ``` <b> ```",
    "```html onclick=alert(1)\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\ncode\n```',
    "    <script>alert(1)</script>",
    '| <b>a</b> | b |\n|:-:|--:|\n| <script>alert(1)</script> | "> |',
    "> <script>alert(1)</script>\n> > deeper",
    "# <img src=x onerror=alert(1)>\n\n1) <b>one</b>\n\n- <i>two</i>\n\n***",
    "*<b>x</b>* **[x](javascript:x)** _~~<s>~~_ \\<b\\> \\[1\\]",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62; &amp;lt;b&gt;",
    '" onmouseover="alert(1)" x="',
    "' onmouseover='alert(1)' x='",
    "` onmouseover=`alert(1)` x=`",
    '"><script>alert(1)</script>',
    "'><script>alert(1)</script>",
    "\x00<b>\x00</b> \ufeff<\u0000script> <scr\x00ipt>",
    "＜script＞alert(1)＜/script＞ \u202e<b>",
    "[1]<b>[2]</b>[3](javascript:x)[99][0]",
    "[<img src=x onerror=alert(1)>] [^1] [1<b>]",
    "\ud83d\ude00 \u2028<b>\u2029</b>",
]


@pytest.fixture(scope="module")
def payloads(shared_data):
    """Our own and the Big List of Naughty Strings."""
    lines = (shared_data / "documents" / "blns.txt").read_text(encoding="utf-8").splitlines()
    naughty = [line for line in lines if line.strip() and not line.startswith("#")]
    assert len(naughty) > 450
    return PAYLOADS + naughty + ["\n".join(naughty)]


def parsed(markup):
    """Every element inside a screen's HTML; what breaks out of it would be beside ``root`` and is found as well."""
    page = lxml.html.document_fromstring(f'<html><body><div id="root">{markup}</div></body></html>')
    body = page.find("body")
    assert len(body) == 1 and body[0].get("id") == "root" and not (body[0].tail or "").strip()
    return [element for element in body[0].iter() if element is not body[0]]


def skeleton(markup):
    """The elements of a screen with the names of their attributes, in their order."""
    return [(element.tag, *sorted(element.attrib)) for element in parsed(markup)]


def text_of(markup):
    return lxml.html.fromstring(f"<div>{markup}</div>").text_content()


def outside(markup):
    """What Markdown may not become, for the message of a failure."""
    found = []
    for element in parsed(markup):
        if element.tag not in MARKDOWN or not set(element.attrib) <= MARKDOWN[element.tag]:
            found.append((element.tag, dict(element.attrib)))
        elif not re.fullmatch(r"(text-align:(left|right|center))?", element.get("style", "")):
            found.append((element.tag, element.get("style")))
        elif element.get("class", "pl-answer") not in ("pl-answer", "pl-link", "pl-cite"):
            found.append((element.tag, element.get("class")))
    return found


@pytest.mark.shared_data
def test_markdown_of_answers_becomes_nothing_but_harmless_elements(payloads):
    bad = {text: found for text in payloads if (found := outside(_html.answer(text, cited=20)))}
    assert bad == {}


@pytest.mark.shared_data
def test_no_sign_of_a_template_language_is_left_in_an_answer(payloads):
    left = {text: _html.answer(text) for text in payloads if re.search(r"[{}$`]", _html.answer(text))}
    assert left == {}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PAYLOADS + ["[", "]", "(", ")", "<", ">", '"', "`", "*", "|", "\n", " "]), max_size=6))
def test_payloads_in_any_mixture_stay_harmless(pieces):
    assert outside(_html.answer("".join(pieces), cited=3)) == []


def test_the_words_of_an_answer_are_all_there():
    for text in ("5 < 6 && 7 > 2", 'He said "so"', "<b>bold</b>", "{a} ${b}", "<script>alert(1)</script>"):
        assert text_of(_html.answer(text)).strip() == text


def test_markdown_is_shown_as_what_it_means():
    markup = _html.answer("# Head\n\n- **one**\n- `two`\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\nline\nbreak")
    tags = [element.tag for element in parsed(markup)]
    assert {"h1", "ul", "li", "strong", "code", "table", "th", "td", "br"} <= set(tags)


def test_a_link_shows_where_it_leads_and_is_none():
    markup = _html.answer("See [the manual](https://evil.example/a?b=1&c=2).")
    (link,) = [element for element in parsed(markup) if element.tag == "span"]
    assert (link.text_content(), link.get("title")) == ("the manual", "https://evil.example/a?b=1&c=2")
    assert not [element for element in parsed(markup) if element.tag == "a"]


def test_an_image_is_shown_as_its_words_and_loads_nothing():
    markup = _html.answer("Look: ![the plan of the harbour](https://evil.example/pixel.png)")
    assert "the plan of the harbour" in text_of(markup) and "evil.example" not in markup


def cites(markup):
    return [element.get("data-cite") for element in parsed(markup) if element.tag == "button"]


@pytest.mark.parametrize(
    ("text", "sources", "expected"),
    [
        ("One [1], two [2].", 2, ["1", "2"]),
        ("[0] [1] [2] [3] [12] [99] [100] [-1] [1.5] [x]", 2, ["1", "2"]),
        ("[12]", 20, ["12"]),
        ("[1][2] and **[3]** and _[1]_", 3, ["1", "2", "3", "1"]),
        ("[1]", 0, []),
        ("`[1]` and\n\n    [1]\n\n```\n[1]\n```", 3, []),
        ("[01]", 1, ["1"]),
        ("See [1].\n\n[1]: harbour.md", 1, ["1", "1"]),
        ("| a |\n|---|\n| yes [1] |", 1, ["1"]),
        ("Both [1, 3] and [2;1], not [4, 2].", 3, ["1", "3", "2", "1", "2"]),
        ("【1】 and 【2†manual-7.md】 and [1, x]", 9, ["1", "2"]),
        ("[1, 2]", 0, []),
    ],
)
def test_a_citation_is_a_button_only_where_there_is_such_a_source(text, sources, expected):
    assert cites(_html.answer(text, sources)) == expected


@pytest.mark.parametrize("text", ["Yes [3].", "Yes [1].", "Yes [1, 3].", "Yes [ 2 ; 9 ].", "Yes 【2†manual-1.md】."])
def test_a_citation_reads_as_it_was_written_with_and_without_a_source(text):
    assert text_of(_html.answer(text, 2)).strip() == text


def context(text, name="d.md"):
    return Context(text, text, name, text, 0, 5, 1.5, text, 3)


def a_run(text):
    return Run("r", "m", "q", None, "r", JobState.FAILED, 3, 1, 1, 0.0, text)


def a_run_row(text):
    query = Query("q", "s", 0, text, Split.TRAIN, {})
    return RunRow(query, Retrieval("r", "q", text, (context(text),)), Completion("c", "r", "m", "q", "r", text))


def a_failed_row(text):
    row = a_run_row(text)
    return replace(row, completion=replace(row.completion, error=text))


def a_tune_row(text):
    messages = [{"role": text, "content": text}, {"role": "user", "content": text}]
    return TuneRow("q", text, (context(text),), text, messages, suggestion=text, response_id="p")


def a_job(text):
    return TrainingJob("j", "embedded", "d", "m", JobState.FAILED, {}, text, "m", 0.0, 1.0)


def a_model(text):
    return Model(
        "m", text, "openai", {"model_id": text, "endpoint": text, "temperature": 0.5}, "answer-review", "m", None, 1.0
    )


# Screens that show text as it is: whatever the text, their elements and attributes are the same.
SCREENS = {
    "note": lambda text: _html.note(text, "bad"),
    "empty": lambda text: _html.empty(text, text),
    "bar": lambda text: _html.bar(1, 2, text),
    "sources": lambda text: _html.sources([context(text, f"{text}.pdf"), context(text, f"{text}.txt")]),
    "documents": lambda text: documents.table([DocumentSummary("d1", text, 5, 1, 0.0)]),
    "upload report": lambda text: documents.report([Added(text, 2), Added(text, problem=text)]),
    "run": lambda text: runs.progress(a_run(text), text, text),
    "rows of a run": lambda text: runs.table(shown_rows([a_run_row(text), a_failed_row(text)])),
    "training row": lambda text: tune_data.preview([a_tune_row(text)]),
    "jobs": lambda text: tune_jobs.table([a_job(text)], {"m": text}, {"j": 3}),
    "models": lambda text: model_table.models_html([a_model(text)], lambda model: text, lambda model: text),
    "header": header.header,
    "drawer": lambda text: viewer.drawer(Document("d", text, text, "s", f"before{text}after", deleted_at=1.0), 6, 9),
}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", SCREENS)
def test_text_on_a_screen_adds_no_element_and_no_attribute(name, payloads):
    screen = SCREENS[name]
    expected = skeleton(screen("plain words"))
    bad = [text for text in payloads if text.strip() and skeleton(screen(text)) != expected]
    assert bad == []


@pytest.mark.parametrize("name", SCREENS)
def test_text_on_a_screen_is_shown_as_it_is(name):
    text = "<b class=\"x\">a & b</b> {c} ${d} `e` 'f'"
    markup = SCREENS[name](text)
    values = [*(value for element in parsed(markup) for value in element.attrib.values()), text_of(markup)]
    assert any(text in value for value in values)


@pytest.mark.shared_data
def test_passages_of_markdown_files_are_rendered_without_anything_of_their_own(payloads):
    allowed = {
        **MARKDOWN,
        **{tag: MARKDOWN.get(tag, set()) | {"class", "title", "open", "data-source"} for tag in ("details", "summary")},
        "button": {"type", "class", "data-chunk"},
    }
    for text in payloads:
        for element in parsed(_html.sources([context(text)])):
            assert element.tag in allowed and set(element.attrib) <= allowed[element.tag], text


@pytest.mark.shared_data
def test_both_sides_of_a_pair_are_rendered_alike_and_stay_on_their_side(payloads):
    for text in payloads:
        for texts in ((text, "plain"), ("plain", text)):
            pair = BlindPair("c", text, (), texts, 1, 1, ComparisonSettings(("one", "two")))
            page = lxml.html.fromstring(f"<div>{voting_html.pair_html(pair)}</div>")
            assert [element.tag for element in page] == ["h3", "div"], text
            assert [(side.tag, side.get("aria-label")) for side in page[1]] == [
                ("section", "Answer A"),
                ("section", "Answer B"),
            ], text
            plain = page[1][0 if pair.text_a == "plain" else 1]
            assert plain.text_content().strip() in ("Aplain", "Bplain")


def reassembled(markup, without):
    root = lxml.html.fromstring(markup)
    for element in [*root.iter(without), *root.find_class("pl-label")]:
        element.drop_tree()
    return root.text_content()


WORDS = st.lists(
    st.sampled_from(["a", "b", "harbour", "[1]", "<b>", "&", "\n", " ", "  ", "{x}", '"', "备份"]), max_size=30
)


@settings(max_examples=300, deadline=None)
@given(WORDS, WORDS)
def test_a_diff_without_its_insertions_is_the_old_text_and_without_its_deletions_the_new(before, after):
    old, new = "".join(before), "".join(after)
    markup = _html.diff(old, new)
    if old.split() == new.split():
        assert "unchanged" in text_of(markup)
        return
    assert reassembled(markup, "del") == new
    assert reassembled(markup, "ins").split() == old.split()
    assert {element.tag for element in parsed(markup)} <= {"div", "span", "ins", "del"}


def test_a_diff_marks_the_words_that_changed_and_no_others():
    root = lxml.html.fromstring(_html.diff("The fee is ten euros a night.", "The fee is twelve euros a night."))
    assert [element.text.strip() for element in root.iter("del", "ins")] == ["ten", "twelve"]


@pytest.mark.shared_data
def test_a_diff_of_any_text_adds_no_element(payloads):
    for text in payloads:
        tags = {element.tag for element in parsed(_html.diff(f"before {text}", f"{text} after"))}
        assert tags <= {"div", "span", "ins", "del", "p"}, text


def test_a_long_text_is_compared_too():
    old = "\n".join(f"Line {n} of a long answer." for n in range(1500))
    new = old.replace("Line 700 ", "Row 700 ")
    root = lxml.html.fromstring(_html.diff(old, new))
    assert [element.text_content() for element in root.iter("del")] == ["Line "]
    assert reassembled(_html.diff(old, new), "del") == new


@pytest.mark.parametrize("count", [2_000, 20_000])
def test_a_small_edit_of_a_text_of_repeated_words_is_shown_as_words_and_at_once(count):
    half = "word " * (count // 2)
    begun, markup = time.process_time(), _html.diff(f"{half}old {half}", f"{half}new {half}")
    assert time.process_time() - begun < 5
    assert [element.text for element in lxml.html.fromstring(markup).iter("del", "ins")] == ["old ", "new "]


def between(word, count, end=" "):
    return end.join(f"the{end}{word}{n}" for n in range(count // 2))


@pytest.mark.parametrize("count", [2_000, 20_000])
def test_texts_of_repeated_words_that_differ_everywhere_are_compared_by_line_and_at_once(count):
    old, new = (f"Same line.\n{between(word, count)}\n" for word in ("old", "new"))
    begun, markup = time.process_time(), _html.diff(old, new)
    assert time.process_time() - begun < 5
    assert reassembled(markup, "del") == new and reassembled(markup, "ins") == old
    if count == 20_000:
        assert [element.text_content() for element in lxml.html.fromstring(markup).iter("del")] == [old[11:]]


@pytest.mark.parametrize("count", [2_000, 20_000])
def test_where_lines_repeat_like_words_a_sentence_says_that_the_changes_are_not_shown(count):
    begun, markup = time.process_time(), _html.diff(between("old", count, "\n"), between("new", count, "\n"))
    assert time.process_time() - begun < 5
    assert text_of(markup) == "The texts differ too much to show the changes."


@pytest.mark.parametrize(
    ("passed", "words"), [(0, "0 s ago"), (59, "59 s ago"), (61, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")]
)
def test_times_are_words_with_the_exact_time_behind_them(passed, words):
    moment = time.time() - passed
    (element,) = parsed(_html.ago(moment))
    assert element.text == words and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", element.get("title"))


@pytest.mark.parametrize(("done", "total", "width"), [(0, 0, "0.0"), (0, 5, "0.0"), (1, 3, "33.3"), (5, 5, "100.0")])
def test_a_bar_is_as_long_as_its_share(done, total, width):
    bar = parsed(_html.bar(done, total, "label"))
    assert bar[1].get("style") == f"width:{width}%"
    assert (bar[0].get("aria-valuenow"), bar[0].get("aria-valuemax")) == (str(done), str(total))
