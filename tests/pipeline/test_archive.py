"""The workspace as one file: there and back, twice is once, and a file that is no good takes nothing in."""

import gzip
import hashlib
import random
import time
from dataclasses import replace

import pytest

from components.settings.storage import import_html
from pipeline import archive, journal
from pipeline.archive import Imported, read_archive, write_archive
from pipeline.backup import Backup
from pipeline.errors import BackupError
from pipeline.records import Change, JobState, ResponseStatus, Role, id_of, new_id
from pipeline.settings import Settings
from pipeline.store import open_store
from pipeline.store.members import AUTOMATIC
from pipeline.store.memberships import Newcomer
from pipeline.store.runs import NewRun
from tests.backing import answer, work
from tests.backing import rows_of as all_rows_of
from tests.material import reviewable
from tests.people import add, open_team, team
from tests.workspace import add_comparison, add_model, person


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "pairloop.db")
    yield store
    store.close()


@pytest.fixture
def full(services, tmp_path):
    """A workspace in which somebody has reviewed, drafted, voted and taken a vote back."""
    dataset = reviewable(services, tmp_path)
    ada = person(services, "Ada")
    records = services.store.datasets.record_ids(dataset.id)
    answer(services.store, records[0], ada, '北码头 \u2028 "quoted"')
    answer(services.store, records[1], ada, "half a sen", ResponseStatus.DRAFT)
    set_id = add_comparison(services, (add_model(services, "one"), add_model(services, "two")), [("A.", "B.")] * 2)
    pair = services.comparisons.next_pair(set_id, ada)
    services.comparisons.vote(pair.comparison_id, ada, "model_a", "because", "Better.")
    services.comparisons.undo(set_id, ada)
    return services.store


def rows_of(store):
    """Return all rows but that of the member of automatic ties: every store makes it, and the one made last stands."""
    rows = all_rows_of(store)
    rows["members"].pop(AUTOMATIC, None)
    return rows


def refused(store, path, words):
    before = rows_of(store)
    with pytest.raises(BackupError, match=words) as error:
        read_archive(store, path)
    assert "Nothing was taken in" in str(error.value)
    assert rows_of(store) == before and store.merging.parked() == []


def write(path, *changes, replica=None):
    with gzip.open(path, "wb") as file:
        file.write(journal.write_block(replica or new_id(), journal.write_lines(changes)))
    return path


def a_list(row_id="q", name="n", stamp=None, **more):
    row = {"id": row_id, "name": name, "kind": "list", "created_at": 1.0, **more}
    return Change("query_sets", row_id, stamp or new_id(), new_id(), row)


def test_everything_comes_into_an_empty_workspace_and_twice_is_once(full, store, tmp_path):
    write_archive(full, tmp_path / "workspace.jsonl.gz")
    first = read_archive(store, tmp_path / "workspace.jsonl.gz")
    rows = rows_of(full)
    assert rows_of(store) == rows
    assert first.rows == sum(map(len, all_rows_of(full).values())) and first.parked == 0
    assert first.applied >= first.rows - 1
    second = read_archive(store, tmp_path / "workspace.jsonl.gz")
    assert (second.applied, second.parked) == (0, 0) and rows_of(store) == rows


def test_what_was_imported_waits_for_the_repo_like_work_of_ones_own(full, store, tmp_path):
    write_archive(full, tmp_path / "workspace.jsonl.gz")
    read_archive(store, tmp_path / "workspace.jsonl.gz")
    assert store.outbox.waiting("repo").count == sum(map(len, all_rows_of(store).values()))


def test_a_used_workspace_keeps_what_it_has_and_takes_the_newer_state_of_each_row(full, store, tmp_path):
    write_archive(full, tmp_path / "first.gz")
    read_archive(store, tmp_path / "first.gz")
    ada = next(member for member, name in full.members.names().items() if name == "Ada")
    store.members.rename(ada, "Ada here")
    full.members.rename(ada, "Ada there, later")
    own, theirs = work(store, name="mine"), work(full, name="theirs")
    write_archive(full, tmp_path / "second.gz")
    for _ in range(2):
        read_archive(store, tmp_path / "second.gz")
        assert store.members.name(ada) == "Ada there, later"
        assert {own, theirs} <= {item.id for item in store.queries.sets()}
    store.members.rename(ada, "Ada here, last")
    read_archive(store, tmp_path / "second.gz")
    assert store.members.name(ada) == "Ada here, last"
    write_archive(store, tmp_path / "back.gz")
    read_archive(full, tmp_path / "back.gz")
    assert rows_of(full) == rows_of(store)


def test_what_was_under_way_elsewhere_is_not_under_way_here(full, store, tmp_path):
    run = full.runs.latest()[0]
    list_id = work(full)
    run_id = full.runs.start(NewRun(run.model_id, list_id, None, "r", 3, 0))
    write_archive(full, tmp_path / "w.gz")
    for _ in range(2):
        read_archive(store, tmp_path / "w.gz")
        assert store.runs.get(run_id).state is JobState.INTERRUPTED
    read_archive(full, tmp_path / "w.gz")
    assert full.runs.get(run_id).state is JobState.RUNNING


def test_a_file_of_ones_own_changes_nothing(full, tmp_path):
    before = rows_of(full)
    write_archive(full, tmp_path / "own.gz")
    assert read_archive(full, tmp_path / "own.gz").applied == 0
    assert rows_of(full) == before


def test_an_empty_file_and_one_without_rows_are_refused(store, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    refused(store, tmp_path / "empty", "it is empty")
    (tmp_path / "nothing").write_bytes(gzip.compress(b""))
    refused(store, tmp_path / "nothing", "it is empty")


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 a spreadsheet", b"query,split\nWhere?,train\n", b"\x1f\x8b", bytes(1000)]
)
def test_a_foreign_file_is_refused(store, tmp_path, content):
    (tmp_path / "foreign").write_bytes(content)
    refused(store, tmp_path / "foreign", "no workspace file")


@pytest.mark.parametrize("content", [b"query,split\n", b'{"pairloop": 99}\n', b"[]\n", b"\x00" * 50])
def test_a_packed_foreign_file_is_refused(store, tmp_path, content):
    (tmp_path / "foreign.gz").write_bytes(gzip.compress(content))
    refused(store, tmp_path / "foreign.gz", "no workspace file")


def test_a_file_that_is_cut_or_damaged_anywhere_is_refused_whole(full, store, tmp_path):
    write_archive(full, tmp_path / "whole.gz")
    whole = (tmp_path / "whole.gz").read_bytes()
    dice = random.Random(1)
    for _ in range(25):
        place = dice.randrange(11, len(whole) - 1)
        (tmp_path / "cut.gz").write_bytes(whole[:place])
        refused(store, tmp_path / "cut.gz", "no workspace file")
        damaged = whole[:place] + bytes([whole[place] ^ (1 << dice.randrange(8))]) + whole[place + 1 :]
        (tmp_path / "damaged.gz").write_bytes(damaged)
        refused(store, tmp_path / "damaged.gz", "no workspace file")


def test_a_row_that_was_altered_inside_is_refused_with_all_others(full, store, tmp_path):
    write_archive(full, tmp_path / "whole.gz")
    altered = gzip.decompress((tmp_path / "whole.gz").read_bytes()).replace(b"Ada", b"Eve")
    (tmp_path / "altered.gz").write_bytes(gzip.compress(altered))
    refused(store, tmp_path / "altered.gz", "checksum")


def test_a_file_that_unpacks_to_more_than_the_limit_is_refused_before_it_fills_the_memory(store, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 3_000_000)
    with gzip.open(tmp_path / "bomb.gz", "wb") as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
    assert (tmp_path / "bomb.gz").stat().st_size < 300_000
    refused(store, tmp_path / "bomb.gz", "too large")


def test_a_file_from_the_future_is_refused_and_one_of_a_clock_that_is_a_little_fast_is_not(store, tmp_path):
    file = write(tmp_path / "now.gz", a_list())
    day = 24 * 3600.0
    assert read_archive(store, file, now=lambda: time.time() - 0.9 * day).applied == 1
    with pytest.raises(BackupError, match="from the future"):
        read_archive(store, file, now=lambda: time.time() - 1.1 * day)


def test_what_cannot_be_used_yet_is_counted_kept_and_exported_again(store, tmp_path):
    strange = a_list("strange", colour="red")
    unknown = Change("feelings", "f", new_id(), new_id(), {"id": "f", "mood": "good"})
    wrong = a_list("wrong", name=5)
    file = write(tmp_path / "newer.gz", a_list("good"), strange, unknown, wrong)
    for applied in (1, 0):
        imported = read_archive(store, file)
        assert (imported.rows, imported.applied, imported.parked) == (4, applied, 3)
    write_archive(store, tmp_path / "again.gz")
    reading = journal.read_blocks(gzip.decompress((tmp_path / "again.gz").read_bytes()))
    assert {
        change.row_id: dict(change.row) for change in reading.changes if change.row_id in ("strange", "f", "wrong")
    } == {change.row_id: dict(change.row) for change in (strange, unknown, wrong)}
    assert not reading.problem


def test_rows_in_any_order_find_their_parents(full, store, tmp_path):
    changes = [change for piece in full.outbox.everything() for change in piece]
    random.Random(3).shuffle(changes)
    assert read_archive(store, write(tmp_path / "shuffled.gz", *changes)).parked == 0
    assert rows_of(store) == rows_of(full)


def test_secrets_that_somebody_pasted_are_not_in_the_file(full, tmp_path):
    key = 'sk-marked-"key"-\\with-odd-signs-ä'
    work(full, name=f"Why does {key} not work?")
    backup = Backup(full, Settings(home=tmp_path, openai_api_key=key))
    backup.write_file(tmp_path / "workspace.gz")
    data = gzip.decompress((tmp_path / "workspace.gz").read_bytes())
    assert b"sk-marked" not in data and b"[secret removed]" in data
    assert not journal.read_blocks(data).problem


@pytest.mark.parametrize("word", ["test", "none", "a", "EMPTY", "id", "list"])
def test_a_key_that_is_only_a_word_for_an_endpoint_without_keys_damages_nothing(full, store, tmp_path, word):
    backup = Backup(full, Settings(home=tmp_path, openai_api_key=word))
    backup.write_file(tmp_path / "workspace.gz")
    assert read_archive(store, tmp_path / "workspace.gz").parked == 0
    assert rows_of(store) == rows_of(full)


@pytest.fixture
def teams(tmp_path):
    """Two workspaces that people sign in to: that of Olga and others, and that of a stranger."""
    ours, theirs = (open_team(tmp_path / name) for name in ("ours", "theirs"))
    yield ours, theirs
    ours.close()
    theirs.close()


def stranger_in(services, name="Mallory"):
    """Let a stranger own a workspace, with every way in that there is; return the cookie and the token of the API."""
    invitation = services.store.invitations.add(Role.OWNER, AUTOMATIC, code="come in", days=None, most=None)
    member_id = id_of("member", "test", name)
    key = id_of("membership", "test", name)
    services.store.memberships.join(Newcomer(key, member_id, name, Role.OWNER, f"account:{name}", invitation, "c" * 64))
    _, token = services.store.tokens.add(member_id, "old", None)
    services.store.invitations.add(Role.OWNER, member_id, code="come again", days=None, most=None)
    services.activity.note(member_id, "storage.synced")
    return services.store.sign_ins.begin(member_id, "account"), token


def test_the_file_of_a_stranger_lets_nobody_in_and_its_other_rows_come(teams, tmp_path):
    ours, theirs = teams
    people = team(ours)
    cookie, _ = stranger_in(theirs)
    theirs_list = work(theirs.store, name="theirs")
    # As an older version wrote it, with everything in it.
    write(tmp_path / "whole.gz", *(change for piece in theirs.store.outbox.everything() for change in piece))
    write_archive(theirs.store, tmp_path / "theirs.gz")
    before = rows_of(ours.store)
    for file in ("whole.gz", "theirs.gz", "whole.gz"):
        imported = read_archive(ours.store, tmp_path / file)
        assert imported.parked == 0 and not imported.roles
        after = rows_of(ours.store)
        for table in ("memberships", "sign_ins", "api_tokens", "invitations"):
            assert after[table] == before[table]
    assert ours.store.sign_ins.find(cookie) is None
    assert ours.store.sign_ins.find(people[Role.OWNER].cookie).role is Role.OWNER
    assert ours.store.invitations.by_code("come in") is None and ours.people.owners() == ["Olga"]
    # What they did refers to who they were, and comes with them; no browser leads to them.
    mallory = id_of("member", "test", "Mallory")
    assert mallory in ours.store.activity.people() and after["members"][mallory]["token_hash"] is None
    assert theirs_list in {item.id for item in ours.store.queries.sets()}


def test_a_file_brings_no_link_to_results_and_gives_none_back(teams, tmp_path):
    ours, _ = teams
    olga = add(ours, "Olga", Role.OWNER)
    set_id = add_comparison(ours, [add_model(ours, name) for name in ("one", "two")], [("A", "B")])
    withdrawn = ours.store.links.add(set_id, olga.id)
    (link,) = ours.store.links.of_set(set_id)
    ours.store.links.withdraw(link.id)
    row = rows_of(ours.store)["result_links"][link.id]
    secret = "known to who made the file"
    made = {**row, "id": "made", "token_hash": hashlib.sha256(secret.encode()).hexdigest(), "withdrawn_at": None}
    back = {**row, "withdrawn_at": None}
    changes = [Change("result_links", item["id"], new_id(), new_id(), item) for item in (made, back)]
    imported = read_archive(ours.store, write(tmp_path / "links.gz", *changes))
    assert (imported.rows, imported.applied, imported.parked) == (2, 0, 0)
    assert ours.shared_results.set_of(secret) is None and ours.shared_results.set_of(withdrawn) is None
    write_archive(ours.store, tmp_path / "w.gz")
    data = gzip.decompress((tmp_path / "w.gz").read_bytes())
    assert "result_links" not in {change.table for change in journal.read_blocks(data).changes}


def test_a_file_makes_no_other_browser_that_of_an_owner(teams, tmp_path):
    ours, theirs = teams
    olga, stolen = add(ours, "Olga", Role.OWNER), "e" * 64
    row = rows_of(ours.store)["members"][olga.id] | {"token_hash": stolen, "name": "Olga M."}
    write(tmp_path / "stolen.gz", Change("members", olga.id, new_id(), new_id(), row))
    for applied in (1, 0):
        assert read_archive(ours.store, tmp_path / "stolen.gz").applied == applied
        assert rows_of(ours.store)["members"][olga.id] == row | {"token_hash": None}
    # The others hear of the row as it is here.
    write_archive(ours.store, tmp_path / "back.gz")
    read_archive(theirs.store, tmp_path / "back.gz")
    assert rows_of(theirs.store)["members"][olga.id]["token_hash"] is None


def test_a_file_brings_people_with_their_roles_back_where_nobody_is_a_member_and_their_ways_in_nowhere(teams, tmp_path):
    ours, lost = teams
    cookie, token = stranger_in(ours, "Olga")
    team_rows = rows_of(ours.store)["memberships"]
    write_archive(ours.store, tmp_path / "w.gz")
    data = gzip.decompress((tmp_path / "w.gz").read_bytes())
    assert {change.table for change in journal.read_blocks(data).changes}.isdisjoint(
        ("sign_ins", "api_tokens", "invitations")
    )
    assert read_archive(lost.store, tmp_path / "w.gz").roles and lost.people.owners() == ["Olga"]
    assert lost.store.sign_ins.find(cookie) is None and lost.store.tokens.all() == []
    # The invitation that they came by is not here.
    again = {key: row | {"invitation_id": None} for key, row in team_rows.items()}
    assert rows_of(lost.store)["memberships"] == again and lost.store.merging.parked() == []
    # From now on there are members here.
    second = read_archive(lost.store, tmp_path / "w.gz")
    assert (second.applied, second.roles) == (0, False)
    assert ours.store.sign_ins.find(cookie) is not None and len(ours.store.tokens.all()) == 1
    assert token not in data.decode()


@pytest.mark.parametrize("invitation_id", [7, {"a": 1}, "nobody's"])
def test_a_role_in_a_damaged_row_is_put_aside_or_comes_without_its_invitation(teams, tmp_path, invitation_id):
    ours, lost = teams
    stranger_in(ours, "Olga")
    changes = [change for piece in ours.store.outbox.everything() for change in piece]
    changes = [
        replace(change, row={**change.row, "invitation_id": invitation_id}) if change.table == "memberships" else change
        for change in changes
    ]
    read_archive(lost.store, write(tmp_path / "w.gz", *changes))
    assert lost.people.owners() == ["Olga"] and lost.store.merging.parked() == []


def test_an_import_says_whether_roles_were_taken():
    assert "roles and sign-ins, invitations and API tokens were not taken" in import_html(Imported(3, 2, 0))
    restored = import_html(Imported(3, 2, 0, roles=True))
    assert "people have those of the file" in restored and "Sign-ins" in restored


def test_a_judge_that_was_asked_elsewhere_is_not_asked_here(full, store, tmp_path):
    set_id = full.comparisons.sets()[0].id
    full.judgements.start("run", set_id, full.comparisons.set(set_id).model_ids[0], "told")
    write_archive(full, tmp_path / "w.gz")
    read_archive(store, tmp_path / "w.gz")
    assert store.judgements.get("run").state is JobState.INTERRUPTED
