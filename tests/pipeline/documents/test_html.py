"""What of a page is text, and in which shape."""

import pytest

from pipeline.documents.html import read_html
from pipeline.errors import DocumentError


def text(body: str) -> str:
    return read_html(f"<!doctype html><html><body>{body}</body></html>".encode(), "x.html").text


def test_headings_are_sections_labelled_with_their_path() -> None:
    page = b"<html><body><p>Before</p><h1>Guide</h1><p>A</p><h2>Set<b>up</b></h2><p>B</p><h2>Use</h2></body></html>"
    read = read_html(page, "x.html")
    assert [(s.heading, read.text[s.start :].split("\n")[0]) for s in read.sections] == [
        *(("Guide", "Guide"), ("Guide › Setup", "Setup"), ("Guide › Use", "Use"))
    ]
    assert read.text == "Before\n\nGuide\n\nA\n\nSetup\n\nB\n\nUse"


def test_title_stands_in_for_a_missing_heading() -> None:
    read = read_html(b"<title>Price\nlist</title><h2>Plans</h2><p>Base</p>", "x.html")
    assert read.text == "Price list\n\nPlans\n\nBase"
    assert [section.heading for section in read.sections] == ["Price list", "Price list › Plans"]


@pytest.mark.parametrize(
    "noise",
    [
        *("<script>x()</script>", "<style>p {}</style>", "<nav>Home</nav>", "<footer>Imprint</footer>"),
        *("<noscript>Turn on</noscript>", "<template>Row</template>", "<svg><text>Logo</text></svg>", "<!-- note -->"),
        *("<div role='navigation'>Home</div>", "<div hidden>Later</div>", "<p style='DISPLAY : none'>ix</p>"),
        *(
            "<button>Send</button>",
            "<select><option>One</option></select>",
            "<img alt='' src='data:image/png;base64,AA'>",
        ),
        *("<iframe>frame</iframe>", "<a class='headerlink' href='#x'>¶</a>", "<span aria-hidden='true'>*</span>"),
    ],
)
def test_noise_is_left_out_and_text_after_it_kept(noise: str) -> None:
    assert text(f"<p>Before {noise}after</p>{noise}<p>End</p>") in ("Before after\n\nEnd", "Before\n\nafter\n\nEnd")


def test_only_the_main_part_is_read_where_it_is_marked() -> None:
    page = "<header>Shop</header><div>Offers</div><main><h1>Returns</h1><p>30 days</p></main><aside>News</aside>"
    assert text(page) == "Returns\n\n30 days"
    assert text(page.replace("main", "article")) == "Returns\n\n30 days"


def test_page_that_is_all_navigation_or_hidden_is_read_all_the_same() -> None:
    assert text("<nav><ul><li>Home</li><li>Prices</li></ul></nav>") == "- Home\n- Prices"
    assert text("<div style='visibility:hidden'><p>Shown by a script</p></div>") == "Shown by a script"


def test_table_becomes_rows() -> None:
    table = """<table><caption>Plans</caption><thead><tr><th>Plan<th>Price</thead>
        <tr><td><p>Base</p><td>10&nbsp;€<br>a month</tr><tr><td></td><td>free</td></tr><tr><td></td><td></td></tr></table>"""
    assert text(f"<p>See:</p>{table}<p>End</p>") == (
        "See:\n\nPlans\n\nPlan | Price\nBase | 10 € a month\n| free\n\nEnd"
    )


def test_table_that_arranges_a_page_is_no_table() -> None:
    page = "<table><tr><td><ul><li>a</li></ul></td><td><h2>Title</h2><p>One</p><p>Two</p></td></tr></table>"
    assert text(page) == "- a\n\nTitle\n\nOne\n\nTwo"


def test_lists_keep_their_marks_and_numbers() -> None:
    assert text("<ul><li>a<li><p>b</p></ul><ol><li>x</li><li>y<ul><li>z</ul></li><li>w</ol>") == (
        "- a\n- b\n\n1. x\n2. y\n\n- z\n\n3. w"
    )


def test_code_keeps_its_lines_and_other_text_is_joined() -> None:
    assert text("<p>Run\n   this:</p><pre>if x:\n    y()\n\nz()</pre><p>a<br>b</p>") == (
        "Run this:\n\nif x:\n    y()\n\nz()\n\na\nb"
    )


def test_entities_and_invisible_characters() -> None:
    assert text("<p>&lt;b&gt; &amp; fish &#8364; Zu\u00adsatz\u200b-\u00a0Paket</p>") == "<b> & fish € Zusatz- Paket"


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="windows-1252">', "cp1252"),
        ("<meta http-equiv='Content-Type' content='text/html; charset=ISO-8859-1'>", "cp1252"),
        ('<meta charset="shift_jis">', "cp932"),
        ('<meta charset="utf-8">', "utf-16"),
        ("", "utf-8"),
    ],
)
def test_declared_encoding_is_used(head: str, encoding: str) -> None:
    said = "東京都" if encoding == "cp932" else "15 € für Ärzte – “ja”"
    page = f"<html><head>{head}</head><body><p>{said}</p></body></html>"
    assert read_html(page.encode(encoding), "x.html").text == said


def test_page_in_xml_with_a_declaration_is_read() -> None:
    page = (
        '<?xml version="1.0" encoding="iso-8859-1"?><html xmlns="http://www.w3.org/1999/xhtml"><body>für</body></html>'
    )
    assert read_html(page.encode("latin-1"), "x.xhtml").text == "für"


def test_one_long_text_is_not_cut_off() -> None:
    assert len(text("<p>" + "word " * 2_500_000)) == 12_499_999


def test_page_nested_too_deeply_is_refused_instead_of_read_in_part() -> None:
    with pytest.raises(DocumentError, match=r"x\.html is damaged"):
        text("<div>" * 5000 + "lost" + "</div>" * 5000)


@pytest.mark.parametrize(
    "page", [b"<!-- nothing -->", b"<html></html>", b"<html><body><img src='scan.png'></body></html>"]
)
def test_page_without_text_is_refused(read, page: bytes) -> None:
    with pytest.raises(DocumentError, match=r"x\.html has no text in it\."):
        read("x.html", page)
