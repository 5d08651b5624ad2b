"""What is said about the back-up, for each state."""

import pytest

from components.backup_words import words
from pipeline.hub.state import BackupState, PlaceState

# 3 October 2026, 14:05:00 UTC.
NOW = 1_791_036_300.0
SINCE = NOW - 120


def repo(waiting=0, since=None, last=NOW - 40, problem="", retry_in=None):
    return PlaceState("team/feedback", waiting, since, last, problem, retry_in)


def folder(waiting=0, since=None, last=NOW - 1, problem="", retry_in=None, name="/data"):
    return PlaceState(name, waiting, since, last, problem, retry_in)


def said(zone=0, **places):
    return words(BackupState(**places), NOW, zone)


def test_without_a_place_everything_is_on_this_machine_only():
    local = said()
    assert (local.kind, local.text) == ("local", "● Kept on this machine only")
    assert "no dataset repo is configured" in local.title


def test_a_space_that_keeps_nothing_says_so_and_what_to_do():
    space = said(fleeting=True)
    assert (space.kind, space.text) == ("failing", "! Not backed up, and lost when this Space restarts")
    assert "add a secret HF_TOKEN" in space.title
    assert said(fleeting=True, repo=repo()).text == "✓ All changes backed up"


def test_with_a_folder_only_the_folder_is_named():
    assert said(folder=folder()).text == "● Kept on this machine and in /data"
    assert said(folder=folder(2, SINCE)).text == "2 changes not yet in /data · last backup 1 s ago"
    long = said(folder=folder(name="/one/with/a/very/long/way/to/the/folder/at/its/end")).text
    assert long.startswith("● Kept on this machine and in …") and long.endswith("/folder/at/its/end") and len(long) < 70


def test_when_the_repo_has_everything_it_is_said_in_five_words():
    done = said(repo=repo())
    assert (done.kind, done.text) == ("backed_up", "✓ All changes backed up")
    assert done.title == "All changes are in the dataset repo team/feedback. The last change arrived there 40 s ago."
    assert said(repo=repo(last=None)).title == "All changes are in the dataset repo team/feedback."


@pytest.mark.parametrize(
    ("waiting", "last", "text"),
    [
        (12, NOW - 40, "12 changes not yet in the dataset repo · last backup 40 s ago"),
        (1, NOW - 600, "1 change not yet in the dataset repo · last backup 10 min ago"),
        (1234, NOW - 7300, "1,234 changes not yet in the dataset repo · last backup 2 h ago"),
        (3, None, "3 changes not yet in the dataset repo · no backup since the start"),
        # A clock that jumped back.
        (3, NOW + 500, "3 changes not yet in the dataset repo · last backup 0 s ago"),
    ],
)
def test_what_waits_is_counted_and_the_last_backup_named(waiting, last, text):
    assert (said(repo=repo(waiting, SINCE, last)).kind, said(repo=repo(waiting, SINCE, last)).text) == ("waiting", text)


def test_since_when_the_oldest_waits_stands_in_the_title_by_the_readers_clock():
    def title(zone, now=NOW):
        return words(BackupState(repo=repo(2, SINCE)), now, zone).title

    assert "2 changes are not yet in the dataset repo team/feedback, the oldest since 14:03." in title(0)
    assert "since 16:03." in title(120)
    assert "since 08:33." in title(-330)
    assert "since 14:03 UTC." in title(None)
    assert "since 3 Oct 14:03." in title(0, NOW + 86400)
    assert "1 change is not yet in" in said(repo=repo(1, SINCE)).title


def test_a_failure_says_why_what_waits_since_when_and_when_it_is_tried_again():
    broken = said(repo=repo(12, SINCE, problem="The Hub answered with error 503 (Service Unavailable).", retry_in=20.4))
    assert broken.kind == "failing"
    assert broken.text == (
        "! Backup failing: The Hub answered with error 503 (Service Unavailable) · "
        "12 changes waiting since 14:03 · next try in 20 s"
    )
    assert broken.title.startswith("The back-up is failing. The Hub answered with error 503 (Service Unavailable). 12 ")
    assert broken.title.endswith("Next try in 20 s.")


def test_a_failure_with_one_change_with_none_and_with_a_try_that_is_due():
    def text(waiting, retry_in):
        return said(repo=repo(waiting, SINCE if waiting else None, problem="No.", retry_in=retry_in)).text

    assert text(1, 0.2) == "! Backup failing: No · 1 change waiting since 14:03 · next try now"
    assert text(0, 300) == "! Backup failing: No · no change waiting · next try in 5 min"
    assert text(0, None) == "! Backup failing: No · no change waiting"


def test_a_long_reason_is_cut_in_the_header_and_whole_in_the_title():
    reason = (
        "HF_TOKEN may not write to the dataset repo team/feedback (a long answer of the Hub): give it write access."
    )
    broken = said(repo=repo(1, SINCE, problem=reason))
    assert "(a long answer of the Hub): give … · 1 change waiting" in broken.text
    assert reason in broken.title


def test_of_two_places_the_one_that_has_not_everything_is_told():
    assert said(repo=repo(), folder=folder()).text == "✓ All changes backed up"
    assert said(repo=repo(), folder=folder(1, SINCE)).text == "1 change not yet in /data · last backup 1 s ago"
    assert said(repo=repo(2, SINCE), folder=folder()).text.startswith("2 changes not yet in the dataset repo")
    full = said(repo=repo(2, SINCE), folder=folder(5, SINCE, problem="/data cannot be written (No space left)."))
    assert full.text.startswith("! Backup failing: /data cannot be written (No space left) · 5 changes waiting")
    assert [line.split(" ")[0] for line in full.title.splitlines()] == ["2", "The"]


def test_warnings_are_counted_in_the_header():
    one = said(repo=repo(), warnings=("The dataset repo is public.",))
    assert (one.text, one.notes) == ("✓ All changes backed up · 1 warning", 1)
    assert said(repo=repo(), warnings=("a", "b")).text.endswith(" · 2 warnings")
