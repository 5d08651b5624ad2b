"""What people see of the back-up: a header that never claims too much, Settings, a restore, and the workspace as a file."""

import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from components._session import COOKIE
from tests.annotator import Annotator
from tests.hub_server import HubServer
from tests.servers import QuickApp
from tests.workspace import add_comparison, add_model, open_workspace

pytestmark = pytest.mark.browser
REPO = "team/feedback"
STATE = "button.pl-state"
BACKED_UP = "✓ All changes backed up"

# Notes what the header shows at the moment at which the page shows that one more answer is stored.
WATCH = """() => {
    window.claims = [];
    new MutationObserver(() => {
        const done = document.querySelector('#edit-progress')?.textContent.match(/Submitted (\\d+)/)?.[1];
        if (!done || done === window.done) return;
        window.done = done;
        window.claims.push(document.querySelector('button.pl-state').textContent);
    }).observe(document.documentElement, {childList: true, subtree: true, characterData: true});
}"""


@pytest.fixture
def hub():
    with HubServer() as server:
        yield server


@pytest.fixture
def start(tmp_path, hub):
    """Start an app with the repo over a folder of this name; stopped at the end."""
    running = []

    def start_(home="home", token="hf_write_token", **more) -> QuickApp:
        repo = {"PAIRLOOP_DATASET_REPO": REPO, "HF_TOKEN": token, "HF_ENDPOINT": hub.url, "PAIRLOOP_SYNC_SECONDS": "1"}
        app = QuickApp(tmp_path / home, **{**repo, "PAIRLOOP_EXAMPLE": "0", **more})
        running.append(app)
        return app

    yield start_
    hub.heal()
    for app in running:
        app.__exit__()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with the example's 24 records to review, and three pairs to judge."""
    home = tmp_path_factory.mktemp("backup") / "home"
    services = open_workspace(home, example=True)
    services.example.review()
    models = add_model(services, "fennec"), add_model(services, "lemur")
    add_comparison(services, models, [(f"Answer {n}.", f"Another answer {n}.") for n in range(3)])
    services.close()
    return home


@pytest.fixture
def workspace(prepared, tmp_path):
    """A copy of that folder."""
    shutil.copytree(prepared, tmp_path / "home")


def in_repo(hub, text: str) -> bool:
    if f"datasets/{REPO}" not in hub.repos:
        return False
    return any(text.encode() in data for name, data in hub.files(REPO).items() if name.startswith("journal/"))


def backed_up(person) -> None:
    expect(person.find(STATE)).to_have_text(re.compile(f"^{BACKED_UP}"))


def submit(person, text: str, done: int) -> None:
    person.type_into("edit-question-answer", text)
    person.press("edit-submit")
    person.sees("#edit-progress", f"Submitted {done}")


def wait_for(said, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def test_what_waits_is_told_and_is_sent_at_a_press_and_at_a_stop(workspace, start, hub, open_person):
    # Nothing is sent by itself after the first commit.
    with start(PAIRLOOP_SYNC_SECONDS="600") as app:
        wait_for(lambda: in_repo(hub, "both by name"))
        ada = open_person(app.url, path="/?tab=edit")
        ada.sees("#edit-record", "of 24")
        submit(ada, "Written down.", 1)
        waits = re.compile(r"^\d+ changes? not yet in the dataset repo · last backup \d+ (s|min) ago")
        expect(ada.find(STATE)).to_have_text(waits)
        assert "the oldest since" in ada.find(STATE).get_attribute("title")
        assert not in_repo(hub, "Written down.")
        # On every tab, and by keyboard to the details.
        ada.go("Tune")
        ada.sees(STATE, "not yet in the dataset repo")
        ada.find(STATE).focus()
        ada.page.keyboard.press("Enter")
        ada.sees(".pl-backup", re.compile(r"not yet in the dataset repo team/feedback, the oldest since \d\d:\d\d\."))
        assert ada.page.evaluate("document.activeElement.id") == "storage-title"
        ada.press("storage-sync")
        ada.sees("#storage-synced", "Everything is in the dataset repo")
        backed_up(ada)
        assert in_repo(hub, "Written down.")
        # A stop sends what waits. Without an answer of the app nothing is called saved.
        ada.go("Edit")
        submit(ada, "The last words.", 2)
        assert not in_repo(hub, "The last words.")
        assert app.stop() == 0
        assert in_repo(hub, "The last words.")
        expect(ada.find(STATE)).to_have_text("! No connection to Pairloop: what you change now is not saved")
        app.start()
        expect(ada.find(STATE)).to_have_text(re.compile(f"{waits.pattern}|^{BACKED_UP}"))
        # Gradio loads a page anew once it notices that its app is another one: not in the moment of the press below.
        ada.page.reload()
        ada.sees("#edit-record", "of 24")
        # A stop ends in time even when the Hub hangs: before the Hub would have answered.
        hub.fail(times=None, hang=40)
        submit(ada, "Words that stay here.", 3)
        assert app.stop(timeout=30) == 0
        assert not in_repo(hub, "Words that stay here.")


def test_nothing_is_called_backed_up_before_the_repo_has_it_and_a_failing_hub_is_told(
    workspace, start, hub, open_person
):
    with start() as app:
        ada = open_person(app.url, path="/?tab=edit")
        ada.sees("#edit-record", "of 24")
        backed_up(ada)
        ada.page.evaluate(WATCH)
        # A commit takes a second, so that there is a time in which the store has the answer and the repo has not.
        hub.fail(times=None, path="/commit/", hang=1)
        for number in range(1, 4):
            submit(ada, f"Answer of hers {number}.", number)
            truthful(ada, hub, f"Answer of hers {number}.")
        claims = ada.page.evaluate("window.claims")
        assert len(claims) >= 3
        # "Checking" is true too, where the server takes long to say it.
        assert not [text for text in claims[-3:] if text.strip().startswith(BACKED_UP)]
        ada.go("Compare")
        ada.type_into("vote-reason", "A marked reason.")
        backed_up(ada)
        ada.press("vote-a")
        ada.sees("#compare-progress", "1 of 3")
        truthful(ada, hub, "A marked reason.")
        hub.heal()
        told_with_its_reason(ada, hub)


def told_with_its_reason(ada, hub) -> None:
    """Let the Hub fail and recover: both are told, in the header and where somebody has it sent at once."""
    ada.go("Edit")
    backed_up(ada)
    hub.fail(times=None, status=503)
    submit(ada, "While it is down.", 4)
    failing = r"^! Backup failing: The Hub answered with error 503 .*· \d+ changes? waiting since \d\d:\d\d · next try"
    expect(ada.find(STATE)).to_have_text(re.compile(failing))
    # Told to a screen reader once, and not at every second.
    assert ada.find("[data-backup-told]").text_content().startswith("! Backup failing")
    ada.go("Settings")
    ada.open_panel("Storage")
    ada.press("storage-sync")
    ada.sees("#storage-synced", "× The Hub answered with error 503")
    expect(ada.find("#storage-sync")).to_have_text("Sync now")
    hub.heal()
    ada.press("storage-sync")
    ada.sees("#storage-synced", "Everything is in the dataset repo")
    backed_up(ada)
    assert in_repo(hub, "While it is down.")


def truthful(person, hub, text: str) -> None:
    """Hold what the header says against what the repo has, until it says that all is backed up."""
    deadline = time.monotonic() + 60
    while not (claimed := person.find(STATE).inner_text()).startswith(BACKED_UP):
        assert time.monotonic() < deadline, claimed
    assert in_repo(hub, text)


def test_after_a_kill_and_with_an_empty_disk_everything_is_back_and_the_restore_is_seen(
    workspace, start, hub, chromium
):
    token = "a" * 64
    with start() as app:
        ada = Annotator(app.url, token=token)
        ada.open()
        assert ada.end("submit", {"query_rating": 4, "context_rating": 4, "answer": "Sent before the fire."}) == ""
        assert "version" in ada.draft({"answer": "Half a thought"})
        wait_for(lambda: in_repo(hub, "Half a thought"))
        app.kill()
    # For as long as it takes to see it: what hangs is cut off below.
    hub.fail(times=None, path="/resolve/", hang=50)
    second = start("empty")
    starting = threading.Thread(target=second.start)
    starting.start()
    told = healthz(second)
    assert told.startswith("Restoring from team/feedback: ")
    context = chromium.new_context()
    context.add_cookies([{"name": COOKIE, "value": token, "url": second.url}])
    page = context.new_page()
    page.goto(f"{second.url}/?tab=edit")
    expect(page.locator("#text")).to_contain_text("Restoring from team/feedback")
    hub.heal()
    hub.stop()
    hub.start()
    # The page goes on to the app by itself, and to the tab that it was opened for.
    expect(page.locator("#edit-record")).to_contain_text("of 24")
    starting.join()
    expect(page.locator("#edit-progress")).to_contain_text("Submitted 1")
    expect(page.locator("#edit-question-answer textarea")).to_have_value("Half a thought")
    assert page.locator("#edit-record [data-shows]").get_attribute("data-shows") == ada.record
    expect(page.locator(STATE)).to_have_text(re.compile(f"^{BACKED_UP}"))
    context.close()


def healthz(app, seconds: float = 90) -> str:
    """Wait for the health check of an app that restores, and return what it says."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{app.url}/healthz", timeout=5)
        except urllib.error.HTTPError as error:
            assert error.code == 503
            if "Restoring" in (said := error.read().decode()):
                return said
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("the app did not say that it restores")


def test_a_restore_that_the_hub_holds_up_says_so_and_ends_at_once_when_it_is_told_to(workspace, start, hub):
    with start():
        wait_for(lambda: in_repo(hub, "both by name"))
    hub.fail(times=None, status=503)
    app = start("empty")
    starting = threading.Thread(target=_start_and_be_stopped, args=(app,))
    starting.start()
    wait_for(lambda: "is held up" in healthz(app))
    # The Hub goes on failing: only the signal ends this.
    assert app.stop(timeout=30) == 0
    assert "was stopped before it had opened the workspace" in app.log.read_text()
    starting.join()


def _start_and_be_stopped(app):
    with pytest.raises(AssertionError, match="the app ended"):
        app.start()


def test_a_token_that_may_only_read_is_told_in_words(workspace, start, hub):
    hub.add_repo(REPO, private=True)
    with start(token="hf_read_token") as app:
        # The look that was waited for: at another one it may be trying again.
        looks = []
        wait_for(lambda: looks.append(header(app)) or "Backup failing" in looks[-1])
    told = looks[-1]
    assert "! Backup failing: HF_TOKEN may not write to the dataset repo" in told
    assert "give the token write access to it" in told and "hf_read_token" not in told


def header(app) -> str:
    """Return what the app tells a page about the back-up."""
    asked = urllib.request.Request(f"{app.url}/backup", headers={"Cookie": f"{COOKIE}={'a' * 64}"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.dumps(json.loads(answer.read()), ensure_ascii=False)


def test_a_workspace_goes_from_one_app_to_another_as_a_file_and_the_headers_say_where_each_is(
    workspace, tmp_path, open_person
):
    file = tmp_path / "taken.jsonl.gz"
    with QuickApp(tmp_path / "home", PAIRLOOP_EXAMPLE="0") as app:
        ada = open_person(app.url)
        expect(ada.find(STATE)).to_have_text("● Kept on this machine only")
        ada.click(STATE)
        ada.sees("#storage-places", "PAIRLOOP_DATASET_REPO")
        expect(ada.find("#storage-sync")).to_be_disabled()
        ada.sees("#storage-synced", "There is no dataset repo to sync with yet.")
        ada.press("storage-download")
        ada.sees("#storage-confirm", "the results of 1 comparison")
        ada.press("storage-cancel")
        expect(ada.find("#storage-confirm")).to_be_hidden()
        ada.press("storage-download")
        ada.sees("#storage-confirm", "0 of 3 pairs")
        with ada.page.expect_download() as download:
            ada.press("storage-go-on")
        download.value.save_as(file)
        ada.sees("#storage-made", "pairloop-workspace.jsonl.gz is made")
        # Nobody who has the file votes on.
        ada.go("Compare")
        ada.sees("#compare-nothing", "opened the results")
    with QuickApp(tmp_path / "other", PAIRLOOP_EXAMPLE="0", PAIRLOOP_DATA_DIR=str(tmp_path / "volume")) as app:
        bo = open_person(app.url, path="/?tab=settings")
        expect(bo.find(STATE)).to_have_text(re.compile(r"^● Kept on this machine and in .*volume$"))
        bo.open_panel("Storage")
        bo.upload("storage-import", file)
        bo.sees("#storage-imported", "new or newer here now")
        bo.open_panel("Models")
        bo.sees("#settings-models", "fennec")
        bo.open_panel("Storage")
        bo.upload("storage-import", file)
        bo.sees("#storage-imported", "nothing has changed")
        wrong = tmp_path / "wrong.jsonl.gz"
        wrong.write_text("not a workspace")
        bo.upload("storage-import", wrong)
        bo.sees("#storage-imported", "This is no workspace file")
        wrong.write_bytes(b"0" * 25_100_000)
        bo.offer("storage-import", wrong)
        bo.sees(
            ".pl-too-large", "wrong.jsonl.gz is larger than 25 MB. Start the app with a larger PAIRLOOP_MAX_UPLOAD_MB."
        )
        bo.go("Edit")
        bo.sees("#edit-record", "of 24")
