"""Texts of documents, models and people that try to act: they are shown as text, run nothing and call nobody."""

import re
from urllib.parse import quote

import pytest

from components._session import SIGN_IN
from pipeline.records import Role
from tests.hostile import open_hostile
from tests.openai_server import OpenAIServer
from tests.payloads import PAYLOADS, PLANTED
from tests.people import Served
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser

ATTACKS = (
    "<script>window.ran=1</script>",
    '<img src=x onerror="window.ran=2">',
    "[click me](javascript:window.ran=3)",
    "[a page](http://elsewhere.invalid/page)",
    "![pixel](http://elsewhere.invalid/pixel.png)",
    '<iframe src="javascript:parent.ran=4"></iframe>',
    "<svg onload=window.ran=5>",
    '${window.ran=6} {{constructor.constructor("window.ran=7")()}} `${window.ran=8}`',
    '<style>@import "http://elsewhere.invalid/a.css";</style><link rel=stylesheet href=//elsewhere.invalid/b.css>',
    "</textarea></div>\"'><img src=x onerror=window.ran=9>",
    "&lt;img src=x onerror=window.ran=10&gt;",
    '<form action="http://elsewhere.invalid/"><button type="submit">Send</button></form>',
    '<button data-chunk="x" data-delete="x" onclick="window.ran=11">Delete</button>',
    '<p data-shows="x" data-of="x" data-kept="x">a line that plays one of the page</p>',
)
LINE = "Lighthouse " + " ".join(ATTACKS)
TEXT = "The lighthouse is white.\n\n" + "\n\n".join(ATTACKS)
NAME = "<img src=x onerror=window.ran=12> ${window.ran=13}.md"
# The forms of the page itself are none that was planted.
STRANGE = f"{PLANTED}, form:not(#edit-search, #edit-form, [method=post]), img[src*=invalid]"
WATCH = """
window.__violations = [];
addEventListener('securitypolicyviolation', (event) =>
    window.__violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """An app whose documents, completions, names of lists and pairs are attacks, and a model that answers with them."""
    folder = tmp_path_factory.mktemp("untrusted")
    (folder / "attack.md").write_text(f"# {LINE}\n\n{TEXT}", encoding="utf-8")
    services = open_workspace(folder / "home")
    assert services.library.add_file(folder / "attack.md", NAME).chunks
    models = add_model(services, "one"), add_model(services, "two")
    add_comparison(services, models, [(f"{TEXT} A", f"{TEXT} B")] * 2, [f"{LINE} {n}" for n in range(2)])
    services.close()
    with OpenAIServer(answer=lambda messages: f"{TEXT} [1]") as server:
        environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_MODEL": "test-model", "PAIRLOOP_EXAMPLE": "0"}
        with QuickApp(folder / "home", **environment) as app:
            yield app


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """An app that people sign in to, in which whatever has a name or a text is an attack."""
    workspace = open_hostile(tmp_path_factory.mktemp("hostile") / "home")
    served = Served(workspace.services)
    yield served, workspace
    served.close()


class Watch:
    """What a browser does that nobody asked it for: dialogs, requests to other hosts, and what its policy has forbidden."""

    def __init__(self, context, url: str) -> None:
        self.noticed: list[str] = []
        self._url = url
        context.add_init_script(WATCH)
        # A page that is there already is not loaded again.
        for page in context.pages:
            page.evaluate(WATCH)
        context.on("request", lambda request: self._asked(request.url))
        context.on("dialog", lambda dialog: (self.noticed.append(f"dialog {dialog.message}"), dialog.dismiss()))
        context.on("console", lambda said: self.noticed.append(said.text) if "Content Security" in said.text else None)

    def _asked(self, address: str) -> None:
        if not address.startswith((self._url, "data:", "blob:")) or address.removeprefix(self._url) == "/x":
            self.noticed.append(f"asked {address}")


def watch_over(person) -> Watch:
    """Watch what the browser of somebody does, which may have a watch of an earlier test."""
    if not hasattr(person, "watch"):
        person.watch = Watch(person.context, person.url)
    return person.watch


@pytest.fixture
def victim(attacked, stays):
    """Somebody whose browser tells at the end whether anything ran, was planted, or asked another host."""
    person = stays(attacked.url)
    watch = watch_over(person)
    yield person
    assert untouched(person) == []
    assert watch.noticed == []


def untouched(person) -> list[str]:
    """Return what an attack has done to the page."""
    person.settles()
    person.page.wait_for_timeout(100)
    return marks(person.page)


def marks(page) -> list[str]:
    """Return the marks that an attack has left on a page."""
    script = """(planted) => [
        ...(window.ran === undefined ? [] : [`ran ${window.ran}`]),
        ...(window.__pwned === undefined ? [] : [`ran ${window.__pwned}`]),
        ...(window.__violations || []),
        ...[...document.querySelectorAll('.pl-screen, .pl-drawer, .pl-header, .toast-wrap, main')]
            .flatMap((part) => [...part.querySelectorAll(planted)])
            .map((part) => part.outerHTML.slice(0, 160)),
    ]"""
    return page.evaluate(script, STRANGE)


def test_ask_shows_queries_answers_sources_and_names_as_text(victim):
    victim.go("Ask")
    victim.unfold("documents-panel")
    victim.sees("#documents-table", NAME)
    victim.choose("ask-model", "test-model")
    victim.type_into("ask-query", LINE)
    victim.click("#ask-query button")
    victim.sees("#ask-answer", "test-model ·")
    for shown in ("<script>window.ran=1</script>", "${window.ran=6}", "<img src=x onerror=window.ran=10>"):
        victim.sees("#ask-answer", shown)
    victim.sees("#ask-sources", "<svg onload=window.ran=5>")
    victim.sees("#ask-sources", NAME)
    assert untouched(victim) == []
    victim.click("#ask-answer .pl-link")
    victim.click("#ask-answer .pl-cite")
    victim.sees(".pl-drawer mark", "<script>window.ran=1</script>")
    victim.sees(".pl-drawer header", NAME)
    assert untouched(victim) == []
    victim.page.keyboard.press("Escape")
    # A button of a document's text is no button of the page: the list of documents is as it was.
    assert victim.page.locator("#documents-table tbody tr").count() == 1


def test_a_run_a_review_and_a_training_row_show_them_as_text(victim):
    victim.go("Ask")
    victim.unfold("runs-new")
    victim.type_into("runs-typed", f"{LINE}\nLighthouse, plainly")
    victim.type_into("runs-name", f"{ATTACKS[1]} {ATTACKS[6]}")
    victim.press("runs-add")
    victim.sees("#runs-report", ATTACKS[1])
    victim.choose("runs-model", "test-model")
    victim.press("runs-start")
    victim.sees("#runs-progress", "2 of 2 · done")
    victim.sees("#runs-rows", "<svg onload=window.ran=5>")
    assert untouched(victim) == []
    victim.press("runs-send")
    victim.toast("records to review")
    victim.sees("#edit-record", "Record 1 of 2")
    # Everybody has an order of their own.
    if "plainly" in victim.find("#edit-record").inner_text():
        victim.press("edit-next")
        victim.sees("#edit-record", "Record 2 of 2")
    victim.sees("#edit-record", "<script>window.ran=1</script>")
    victim.sees("#edit-sources", "<script>window.ran=1</script>")
    assert "<script>window.ran=1</script>" in victim.text_of("edit-question-answer")
    victim.type_into("edit-question-answer", f"{TEXT} <img src=y onerror=window.ran=14> changed")
    victim.sees("#edit-screen .pl-diff ins", "<img src=y")
    victim.sees("#edit-status", "Draft saved")
    assert untouched(victim) == []
    victim.press("edit-submit")
    victim.sees("#edit-progress", "Submitted 1")
    victim.go("Tune")
    victim.sees("#tune-card", "train queries")
    victim.unfold("tune-preview")
    victim.sees("#tune-preview", "<img src=y onerror=window.ran=14> changed")


def test_a_pair_its_reason_and_the_results_show_them_as_text(victim):
    victim.go("Compare")
    victim.sees("#compare-progress", "0 of 2")
    victim.sees("#compare-pair", "<script>window.ran=1</script>")
    sides = victim.page.locator(".pl-side-text")
    assert sides.count() == 2 and "<svg onload=window.ran=5>" in sides.nth(1).inner_text()
    assert untouched(victim) == []
    for number in (1, 2):
        victim.type_into("vote-reason", LINE)
        victim.type_into("vote-correction", TEXT)
        victim.press("vote-a")
        victim.sees("#compare-screen", f"{number} of 2 judged")
    victim.press("vote-undo")
    victim.sees("#compare-progress", "1 of 2")
    victim.keeps("vote-reason", LINE)
    victim.press("vote-tie")
    victim.press("compare-results")
    victim.press("results-reveal")
    victim.sees("#results-headline", "one")


def test_a_persons_name_is_text_wherever_it_stands(victim):
    rename(victim, ATTACKS[1])
    victim.toast(re.compile(re.escape(ATTACKS[1])))
    assert untouched(victim) == []
    victim.page.reload()
    victim.find(f"#header [data-name][value='{ATTACKS[1]}']").wait_for()
    rename(victim, "${window.ran=15}{{1}}\"'><b>")
    victim.toast(re.compile(r"You are \$"))


def rename(person, name):
    person.settles()
    field = person.find("#header [data-name]")
    field.fill(name)
    field.press("Enter")


def test_a_file_with_a_hostile_name_is_refused_and_taken_in_as_text(victim, tmp_path):
    good, bad = tmp_path / "<img src=x onerror=window.ran=16>.txt", tmp_path / "<b onmouseover=window.ran=17>.pdf"
    good.write_text("The quay is long.", encoding="utf-8")
    bad.write_bytes(b"%PDF-1.4 broken")
    victim.go("Ask")
    victim.unfold("documents-panel")
    victim.upload("documents-upload", good, bad)
    victim.sees("#documents-report", "Added")
    victim.find("#documents-report .pl-bad").hover()
    assert victim.page.locator("#documents-report b, #documents-report img").count() == 0


# A workspace in which everything is an attack


def come(hostile, stays, role=Role.OWNER):
    """Open the hostile workspace as somebody who is signed in, and watch what their browser does."""
    served, workspace = hostile
    cookie = {"name": SIGN_IN, "value": workspace.people[role].cookie, "domain": "127.0.0.1", "path": "/"}
    cookie |= {"expires": -1, "httpOnly": True, "secure": False, "sameSite": "Lax"}
    person = stays(served.url, role, storage_state={"cookies": [cookie], "origins": []})
    return person, watch_over(person)


PANELS = {
    "Start": (), "Ask": (), "Edit": ("Annotate", "Review", "Records", "Setup"), "Tune": ("Train", "Models"), "Compare": (),
    "Results": (), "Team": ("Progress", "Sprints", "People", "Activity", "This workspace", "All workspaces"),
    "Settings": ("Models", "Prompts", "Retrieval", "Storage", "API tokens", "Environment"),
}  # fmt: skip


def unfold_everything(person) -> None:
    """Open every accordion of the tab that is open."""
    folded = person.page.locator(".pl-screen:visible button.label-wrap:not(.open):visible")
    for _ in range(20):
        if not folded.count():
            return
        folded.first.click()
        person.settles()
    raise AssertionError("a part of the page does not unfold")


@pytest.mark.parametrize("tab", PANELS)
def test_no_name_and_no_text_of_a_hostile_workspace_does_anything_on_a_tab(hostile, stays, tab):
    person, watch = come(hostile, stays)
    person.go(tab)
    found = []
    for panel in PANELS[tab] or (tab,):
        person.page.get_by_role("tab", name=panel, exact=True).locator("visible=true").last.click()
        person.settles()
        unfold_everything(person)
        found += [f"{panel}: {mark}" for mark in untouched(person)]
    assert found + watch.noticed == []


MEASURED = """(known) => {
    const side = [...document.querySelectorAll('.pl-side')].find((one) => one.innerText.includes(known));
    const text = side.querySelector('.pl-side-text'), at = side.getBoundingClientRect();
    const looks = (one) => [...getComputedStyle(one)].filter((name) => !/height|block-size|perspective|origin/.test(name))
        .map((name) => `${name}: ${getComputedStyle(one).getPropertyValue(name)}`).join(';');
    return {
        html: text.innerHTML, text: text.innerText, side: looks(side), looks: looks(text), width: at.width,
        places: [...text.querySelectorAll('*')].map((one) => {
            const box = one.getBoundingClientRect();
            return [one.tagName, box.x - at.x, box.y - at.y, box.width, box.height].join(' ');
        }),
        inner: [...text.querySelectorAll('*')].map(looks),
    };
}"""


def test_an_attack_on_one_side_changes_nothing_of_the_other_side(hostile, stays):
    person, watch = come(hostile, stays, Role.ANNOTATOR)
    person.go("Compare")
    measured = {"plain": [], "attack": []}
    for number in range(6):
        person.sees("#compare-progress", f"{number} of 6")
        kind = "attack" if "lighthouse is white" in person.find("#compare-pair").inner_text() else "plain"
        measured[kind].append(person.page.evaluate(MEASURED, "The other answer, plainly."))
        assert untouched(person) == []
        person.press("vote-tie")
    assert len(measured["plain"]) == len(measured["attack"]) == 3
    first = measured["plain"][0]
    for other in measured["plain"] + measured["attack"]:
        assert {name for name in first if other[name] != first[name]} == set()
    assert watch.noticed == []


def test_pages_outside_of_the_screens_show_texts_as_texts(hostile, chromium):
    served, workspace = hostile
    context = chromium.new_context()
    watch, page = Watch(context, served.url), context.new_page()
    page.on("pageerror", lambda error: watch.noticed.append(f"page error {error}"))
    found = []
    page.goto(f"{served.url}/results/{workspace.link}")
    assert "window.__pwned" in page.content()
    found += marks(page)
    texts, seen = list(PAYLOADS.values()), set()
    for text in ["".join(texts[at : at + 4]) for at in range(0, len(texts), 4)]:
        asked = quote(text.encode("utf-8", "replace").decode(), safe="")
        for path in (f"/sign-in?next=/{asked}", f"/join?code={asked}", f"/results/{asked[:500]}"):
            # What does not say again what was asked for is one page for all.
            told = context.request.get(served.url + path).body()
            if told in seen:
                continue
            seen.add(told)
            page.goto(served.url + path)
            found += [f"{path[:60]}: {mark}" for mark in marks(page)]
    assert len(seen) > 3
    # What the page of sign-in says again after a name that is nobody's.
    for text in list(PAYLOADS.values())[::6]:
        page.goto(f"{served.url}/sign-in")
        page.locator("input[name=name]").fill(text.replace("\0", "").encode("utf-8", "replace").decode()[:190])
        page.locator("input[type=password]").fill("four words nobody expects")
        page.locator("form button").first.click()
        found += [f"signing in: {mark}" for mark in marks(page)]
    assert page.url.startswith(served.url)
    context.close()
    assert found + watch.noticed == []
