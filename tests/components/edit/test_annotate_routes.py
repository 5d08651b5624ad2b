"""The routes of the Annotate panel over HTTP: who may ask, what is answered, and that nothing is lost or given twice."""

import json
import re
import threading
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from components._session import COOKIE
from pipeline.annotation.settings import Distribution
from pipeline.records import ResponseStatus
from pipeline.store.datasets import NewRecord
from tests.annotating import VALUES, add_every_kind, every_kind
from tests.api import served
from tests.workspace import open_workspace

TOKENS = {"Ada": "a" * 64, "Bo": "b" * 64}
OURS = {"Content-Type": "application/json", "X-Pairloop": "1"}


class Page:
    """One person's page: posts as edit.js does."""

    def __init__(self, url: str, who: str = "Ada") -> None:
        self.url = url
        self.cookie = {"Cookie": f"{COOKIE}={TOKENS[who]}"} if who else {}

    def post(self, path: str, body: object, **headers: str) -> tuple[int, dict]:
        """Return the status and the JSON of an answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}/annotate/{path}", data, {**OURS, **self.cookie, **named})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def ask(self, path: str, **body: object) -> dict:
        """Return the JSON of an answer that must be one."""
        status, answer = self.post(path, body)
        assert status == 200, answer
        return answer


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    services = open_workspace(tmp_path_factory.mktemp("annotating") / "home")
    yield services
    services.close()


@pytest.fixture(scope="module")
def url(services):
    with served(services) as url:
        yield url


@pytest.fixture
def dataset(services):
    return add_every_kind(services)


@pytest.fixture
def ada(url):
    return Page(url)


@pytest.fixture
def bo(url):
    return Page(url, "Bo")


def member(services, who="Ada"):
    return services.store.members.by_token(TOKENS[who])


def stored(services, record_id, who="Ada"):
    return services.store.responses.get(record_id, member(services, who))


def test_a_dataset_opens_with_the_next_record_and_the_one_after_it(services, dataset, ada):
    shown = ada.ask("open", dataset=dataset.id, frame=True)
    order = services.annotation.order(dataset.id, member(services))
    assert [shown["card"]["id"], shown["next"]["id"]] == order[:2]
    assert "Pending <b>6</b>" in shown["counts"] and "Read <strong>first</strong>" in shown["frame"]
    html = shown["card"]["html"]
    for words in (
        "Record 1 of 6",
        "Suggested by judge, score 0.82",
        "scores topic-2 0.90, topic-30 0.50",
        "Rank of Reply C",
    ):
        assert words in html
    assert "a secret of the admin" not in json.dumps(shown)
    assert len(re.findall(r'<label class="pl-choice"[^>]*hidden', html)) == 9


def test_a_submit_answers_with_what_comes_after_the_record_that_is_shown_already(services, dataset, ada):
    shown = ada.ask("open", dataset=dataset.id)
    order = services.annotation.order(dataset.id, member(services))
    marks = {"chunks": {"0": True, "2": False}, "spans": [{"start": 5, "end": 6, "text": "😀"}]}
    body = {"record": order[0], "values": VALUES, "marks": marks, "seconds": 12.5, "showing": shown["next"]["id"]}
    ended = ada.ask("end", action="submit", **body)
    assert (ended["place"], ended["next"]["id"], ended["status"]) == (True, order[2], "submitted")
    assert "Submitted <b>1</b>" in ended["counts"]
    response = stored(services, order[0])
    assert (response.values, response.seconds, response.prefilled) == (VALUES, 12.5, True)
    # A place is one of Python's text, not of a script's.
    assert response.marks["spans"] == [{"start": 5, "end": 6, "text": "😀"}]
    assert response.marks["chunks"] == {"0": True, "2": False}
    # The answer was lost: the page sends the same once more, and nothing is stored twice.
    again = ada.ask("end", action="submit", **body)
    assert again["version"] == ended["version"] and services.annotation.history(order[0], member(services)) == []


@pytest.mark.parametrize("action", ["submit", "discard"])
def test_what_was_ended_can_be_taken_back_with_its_values_and_its_history(services, dataset, ada, action):
    record = ada.ask("open", dataset=dataset.id)["card"]["id"]
    ada.ask("end", action=action, record=record, values=VALUES, reason="too short")
    assert stored(services, record).reason == ("too short" if action == "discard" else "")
    back = ada.ask("undo", record=record)
    assert back["card"]["id"] == record and stored(services, record).status is ResponseStatus.DRAFT
    assert stored(services, record).values == VALUES
    assert "Earlier versions (1)" in back["card"]["html"] and "Put into the form" in back["card"]["html"]
    assert ada.post("undo", {"record": record})[0] == 422


def test_a_draft_is_kept_and_told_with_its_differences(services, dataset, ada):
    card = ada.ask("open", dataset=dataset.id)["card"]
    saved = ada.ask("draft", record=card["id"], values={"better": "Quite another text."}, version=card["version"])
    assert saved["saved"] and "<ins>Quite" in saved["diffs"]["better"] and "Drafts <b>1</b>" in saved["counts"]
    assert stored(services, card["id"]).values == {"better": "Quite another text."}
    again = ada.ask("open", dataset=dataset.id)["card"]
    assert again["id"] == card["id"] and again["version"] == saved["version"] and "Quite another text." in again["html"]


def test_untouched_suggestions_are_no_draft(services, dataset, ada):
    card = ada.ask("open", dataset=dataset.id)["card"]
    suggested = {name: item.value for name, item in services.store.datasets.record(card["id"]).suggestions.items()}
    assert not ada.ask("draft", record=card["id"], values=suggested)["saved"]
    assert stored(services, card["id"]) is None


def test_a_draft_over_another_windows_newer_one_is_refused_until_it_is_asked_for(services, dataset, ada):
    card = ada.ask("open", dataset=dataset.id)["card"]
    ada.ask("draft", record=card["id"], values={"better": "One."}, version="")
    for path, more in (("draft", {}), ("end", {"action": "submit"}), ("end", {"action": "discard"})):
        body = {"record": card["id"], "values": {**VALUES, "better": "Other."}, "version": "", **more}
        status, refused = ada.post(path, body)
        assert (status, refused["error"]) == (409, "This record was changed in another window.")
        assert stored(services, card["id"]).values == {"better": "One."}
    ada.ask("draft", record=card["id"], values={"better": "Other."}, version=refused["version"])
    assert stored(services, card["id"]).values == {"better": "Other."}


def test_what_the_same_window_sent_without_an_answer_is_no_change_of_another(services, dataset, ada):
    record = ada.ask("open", dataset=dataset.id)["card"]["id"]
    first, more = {"better": "One."}, {**VALUES, "better": "One. And more."}
    ada.ask("draft", record=record, values=first, version="")
    unsure = {"values": first, "marks": {}}
    assert ada.post("draft", {"record": record, "values": more, "unsure": {"values": {"better": "None."}}})[0] == 409
    ada.ask("draft", record=record, values=more, version="", unsure=unsure)
    assert stored(services, record).values == more
    ada.ask("end", action="submit", record=record, values=more, version="")
    ada.ask("draft", record=record, values=VALUES, version="", unsure={"values": more, "marks": {}})
    response = stored(services, record)
    assert (response.values, response.edits["values"]) == (more, VALUES)


@pytest.mark.parametrize("seconds", [b"NaN", b"-Infinity", b"1e999", b"1" + b"0" * 400, b"true", b'"5"'])
def test_work_takes_a_number_of_seconds(services, dataset, ada, seconds):
    record = ada.ask("open", dataset=dataset.id)["card"]["id"]
    given = json.dumps({"action": "submit", "record": record, "values": VALUES}).encode()
    assert ada.post("end", given[:-1] + b', "seconds": ' + seconds + b"}")[0] == 200
    assert stored(services, record).seconds in (0.0, 1.0)


def test_a_dataset_tells_its_guidelines_as_they_are_now(services, dataset, ada):
    shown = ada.ask("open", dataset=dataset.id, frame=True)
    assert 'data-guidelines="1"' in shown["card"]["html"] and 'data-version="1"' in shown["frame"]
    services.datasets.edit(dataset.id, lambda settings: replace(settings, guidelines="Read <b>twice</b>."))
    assert 'data-guidelines="2"' in ada.ask("open", dataset=dataset.id)["card"]["html"]
    told = ada.ask("guidelines", dataset=dataset.id)["guidelines"]
    assert 'data-version="2"' in told and "&lt;b&gt;twice" in told


def test_changes_of_what_was_submitted_stand_beside_it(services, dataset, ada):
    record = ada.ask("open", dataset=dataset.id)["card"]["id"]
    version = ada.ask("end", action="submit", record=record, values=VALUES)["version"]
    saved = ada.ask("draft", record=record, values={**VALUES, "quality": 5}, version=version)
    assert saved["line"] == "You submitted this; your changes are not submitted yet"
    assert (stored(services, record).values, stored(services, record).edits["values"]["quality"]) == (VALUES, 5)
    assert "Submitted <b>1</b>" in saved["counts"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"quality": 2}, "Answer “Supported?”, “Rank the replies”, “A better answer” before you submit"),
        ({**VALUES, "quality": 9}, "is answered by one of 1, 2, 3, 4, 5, not 9"),
        ({**VALUES, "order": VALUES["order"][:2]}, "rank Reply C too"),
        ({**VALUES, "nothing": 1}, "no question named nothing"),
        ({**VALUES, "better": "x" * 50_001}, "50,000 are the limit"),
    ],
)
def test_what_is_not_allowed_is_refused_in_words_and_nothing_is_stored(services, dataset, ada, values, words):
    record = ada.ask("open", dataset=dataset.id)["card"]["id"]
    status, refused = ada.post("end", {"action": "submit", "record": record, "values": values})
    assert status == 422 and words in refused["error"] and stored(services, record) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X_Pairloop": "0"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_a_page_of_another_site_can_ask_nothing(services, dataset, ada, headers, status):
    record = services.store.datasets.record_ids(dataset.id)[0]
    body = {"record": record, "action": "submit", "values": VALUES}
    for path in ("open", "step", "draft", "end", "undo", "list", "guidelines", "stay", "leave"):
        assert ada.post(path, body, **headers)[0] == status, path
    assert services.store.responses.of_dataset(dataset.id) == []


def test_no_browser_is_told_that_another_site_may_ask(url):
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-pairloop"}
    asks |= {"Host": "team.example", "Origin": "http://team.example:8000"}
    request = urllib.request.Request(f"{url}/annotate/end", headers=asks, method="OPTIONS")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 403
    assert not [name for name in refused.value.headers if name.lower().startswith("access-control")]


def test_nobody_without_a_cookie_and_no_body_that_is_none(services, dataset, url, ada):
    status, refused = Page(url, "").post("open", {"dataset": dataset.id})
    assert status == 422 and "Allow cookies" in refused["error"]
    for body in (b"", b"[]", b"{", b"\xff\xfe", b'"text"', b"[" * 900_000):
        assert ada.post("open", body)[0] == 400
    assert ada.post("draft", b'{"record": "' + b"x" * 1_000_000 + b'"}')[0] == 413
    for body in (
        {"record": 5},
        {"values": [1]},
        {"queue": "others"},
        {"filter": {"ranges": {"a": [1]}}},
        {"leaving": 1},
    ):
        assert ada.post("draft", {"record": "x", **body})[0] == 422
    assert ada.post("open", {"record": "gone"})[0] == 404 and ada.post("open", {"dataset": "gone"})[0] == 404
    request = urllib.request.Request(f"{url}/annotate/open", headers=OURS)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code in (404, 405)


def test_queues_and_their_lists_hold_what_they_say(services, dataset, ada):
    order = services.annotation.order(dataset.id, member(services))
    ada.ask("end", action="submit", record=order[1], values=VALUES)
    ada.ask("end", action="submit", record=order[3], values=VALUES)
    ada.ask("end", action="discard", record=order[4], values={})
    assert ada.ask("open", dataset=dataset.id, queue="submitted")["card"]["id"] == order[1]
    assert ada.ask("step", record=order[1], step=1, queue="submitted")["card"]["id"] == order[3]
    assert ada.ask("step", record=order[3], step=1, queue="submitted")["end"] == "This is the last record here."
    assert ada.ask("step", record=order[1], step=1)["card"]["id"] == order[2]
    assert ada.ask("step", record=order[0], step=-1)["end"] == "This is the first record."
    listed = ada.ask("list", dataset=dataset.id, queue="submitted", record=order[3])["list"]
    assert re.findall(r'data-open-record="(\w+)"', listed) == [order[1], order[3]] and listed.count("aria-current") == 1
    assert "No drafts" in ada.ask("open", dataset=dataset.id, queue="draft")["empty"]


def test_search_and_filter_narrow_a_queue(services, dataset, ada):
    records = {record.external_id: record.id for record in services.store.datasets.records(dataset.id)}

    def found(**wanted):
        listed = ada.ask("list", dataset=dataset.id, filter=wanted)["list"]
        return set(re.findall(r'data-open-record="(\w+)"', listed))

    assert found(text="CASE 3?") == {records["case-3"]}
    assert found(terms={"source": ["email"]}) == {records[f"case-{n}"] for n in (1, 3, 5)}
    assert found(ranges={"length": [2, 3]}) == {records["case-2"], records["case-3"]}
    assert len(found(scores={"quality": [0.8, None]})) == 6 and found(scores={"quality": [0.9, None]}) == set()
    assert found(terms={"secret": ["a secret of the admin"]}) == set()
    nothing = ada.ask("open", dataset=dataset.id, filter={"text": "nowhere"})
    assert "No record matches" in nothing["empty"] and "edit-unfilter" in nothing["empty"]


def test_two_people_get_different_records_and_hear_of_a_place_that_is_gone(services, dataset, ada, bo):
    one = ada.ask("open", dataset=dataset.id)
    other = bo.ask("open", dataset=dataset.id)
    shown = {part["id"] for answer in (one, other) for part in (answer["card"], answer["next"])}
    assert len(shown) == 4
    mine = one["card"]["id"]
    assert bo.ask("stay", record=mine) == {"place": False} and bo.ask("open", record=mine)["place"] is False
    assert not bo.ask("draft", record=mine, values={"better": "Bo was here."})["place"]
    # Whoever goes away from what they have not begun frees it.
    ada.ask("leave", leaving=[mine, one["next"]["id"]])
    assert bo.ask("stay", record=mine) == {"place": True}


def test_a_prefetched_record_that_others_have_taken_gives_way_to_another(services, dataset, ada, bo):
    shown = ada.ask("open", dataset=dataset.id)
    taken = shown["next"]["id"]
    services.annotation.release(taken, member(services))
    bo.ask("end", action="submit", record=taken, values=VALUES)
    ended = ada.ask("end", action="submit", record=shown["card"]["id"], values=VALUES, showing=taken)
    assert ended["place"] is False and ended["card"]["id"] not in (taken, shown["card"]["id"])
    assert stored(services, shown["card"]["id"]).status is ResponseStatus.SUBMITTED


def test_a_submit_whose_place_is_gone_is_kept_as_a_draft(services, dataset, ada, bo):
    record = ada.ask("open", dataset=dataset.id)["card"]["id"]
    services.annotation.release(record, member(services))
    bo.ask("end", action="submit", record=record, values=VALUES)
    status, refused = ada.post("end", {"action": "submit", "record": record, "values": {**VALUES, "quality": 1}})
    assert status == 422 and "Others have answered this record" in refused["error"]
    kept = stored(services, record)
    assert (kept.status, kept.values["quality"]) == (ResponseStatus.DRAFT, 1)
    assert "Others have answered this record" in ada.ask("open", record=record)["card"]["html"]


def test_others_answers_and_held_back_suggestions_are_not_sent(services, url, ada, bo):
    dataset = add_every_kind(services, 2, people=2, unprefilled=1.0)
    record = services.annotation.order(dataset.id, member(services))[0]
    bo.ask("end", action="submit", record=record, values={**VALUES, "better": "What Bo thinks."})
    before = ada.ask("open", record=record)["card"]["html"]
    assert "What Bo thinks." not in before and "Open Settings, case" not in before and "judge" not in before
    drafted = ada.ask("draft", record=record, values={"better": "Mine."})
    assert drafted["diffs"] == {}
    ada.ask("end", action="submit", record=record, values=VALUES, version=drafted["version"])
    after = ada.ask("open", record=record)["card"]["html"]
    assert "Open Settings, case" in after and "What Bo thinks." not in after
    assert stored(services, record).prefilled is False


def test_every_empty_screen_says_what_to_do(empty):
    with served(empty) as url:
        _look_at_empty_screens(empty, Page(url), Page(url, "Bo"))


def _look_at_empty_screens(services, ada, bo):
    nothing = ada.ask("open")
    assert "Nothing to annotate yet" in nothing["empty"] and "edit-example" in nothing["empty"]
    draft = services.datasets.create("Being made", every_kind(), publish=False)
    assert "not published yet" in ada.ask("open", dataset=draft.id)["empty"]
    bare = services.datasets.create("Bare", every_kind())
    assert "no records yet" in ada.ask("open", dataset=bare.id)["empty"]
    dataset = add_every_kind(services, 1)
    record = ada.ask("open", dataset=dataset.id)["card"]["id"]
    waiting = bo.ask("open", dataset=dataset.id)
    assert waiting["waiting"] and "Nothing is free at the moment" in waiting["empty"]
    done = ada.ask("end", action="submit", record=record, values=VALUES)
    assert "All done here" in done["empty"]
    assert "Others have done 1 of them" in bo.ask("open", dataset=dataset.id)["empty"]
    assert ada.ask("step", dataset=dataset.id, record="", step=-1)["card"]["id"] == record


def test_a_draft_dataset_takes_no_answer(services, ada):
    hidden = services.datasets.create("Being made", every_kind(), publish=False)
    services.store.datasets.add_records(hidden.id, [NewRecord({"question": "Where?"})])
    record = services.store.datasets.record_ids(hidden.id)[0]
    assert "not published" in ada.post("end", {"action": "submit", "record": record, "values": VALUES})[1]["error"]


def test_markup_in_every_field_is_text(services, ada):
    attack = "<script>window.ran=1</script><img src=x onerror=window.ran=2>\"'`${7*7}{{8*8}}"
    dataset = add_every_kind(services, 1, attack)
    shown = ada.ask("open", dataset=dataset.id, frame=True)
    html = json.dumps(shown) + ada.ask("list", dataset=dataset.id)["list"]
    assert "&lt;script&gt;" in html
    for raw in ("<script", "<img", "${7", "{{8"):
        assert raw not in html


def test_twenty_people_at_once_leave_no_record_over_and_none_out(services, url):
    dataset = add_every_kind(services, 30, suggested=False, people=2)
    for number in range(20):
        TOKENS[f"P{number}"] = f"{number:064x}"
    failures: list[object] = []

    def work(page: Page) -> None:
        answer, seen = page.ask("open", dataset=dataset.id), set()
        while answer.get("card"):
            record = answer["card"]["id"]
            if record in seen:
                failures.append(f"{record} twice")
                return
            seen.add(record)
            status, answer = page.post("end", {"action": "submit", "record": record, "values": VALUES})
            if status != 200:
                failures.append(answer)
                return

    threads = [threading.Thread(target=work, args=(Page(url, f"P{number}"),)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    # Whoever found nothing free has gone; what they looked at ahead is free again once they are away.
    left = Page(url, "P0").ask("open", dataset=dataset.id)
    given: dict[str, int] = {}
    for response in services.store.responses.of_dataset(dataset.id):
        assert response.status is ResponseStatus.SUBMITTED
        given[response.record_id] = given.get(response.record_id, 0) + 1
    assert failures == [] and max(given.values()) == 2, left
    assert services.datasets.get(dataset.id).settings.distribution == Distribution(2)
