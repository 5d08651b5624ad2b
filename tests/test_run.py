"""Which browser the tests take: one that starts, in the order of the ways to get one."""

import stat
from pathlib import Path

import pytest

from tests import run


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine on which no browser is, and a way to put programs on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("PAIRLOOP_TEST_CHROMIUM", raising=False)
    monkeypatch.setattr(run, "VERSION_SECONDS", 1)

    def put(name: str, script: str) -> str:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return put


def test_a_browser_that_does_not_start_is_passed_over_for_the_next(machine, monkeypatch):
    machine("chromium", "echo requires the snap to be installed >&2; exit 1")
    machine("chromium-browser", "while :; do :; done")
    assert run.installed() == ""
    chrome = machine("google-chrome", "echo Google Chrome 140.0")
    assert run.installed() == chrome
    monkeypatch.setenv("PAIRLOOP_TEST_CHROMIUM", machine("mine", "exit 127"))
    assert run.installed() == chrome
    monkeypatch.setenv("PAIRLOOP_TEST_CHROMIUM", machine("mine", "echo Chromium 140.0"))
    assert run.installed().endswith("mine")


def test_what_is_no_program_is_no_browser(machine, tmp_path, monkeypatch):
    for path in (tmp_path, tmp_path / "nothing", Path(__file__)):
        monkeypatch.setenv("PAIRLOOP_TEST_CHROMIUM", str(path))
        assert run.installed() == ""


def test_where_playwrights_does_not_start_either_it_is_said_what_to_do(machine):
    broken = machine("playwrights-chromium", "echo error while loading shared libraries >&2; exit 127")
    # In place of the environment's Python, which is asked to install one and for its path.
    python = machine("python", f'[ "$1" = -m ] && exit 1; echo {broken}')
    with pytest.raises(SystemExit, match="apt-get install chromium") as stopped:
        run.chromium(Path(python))
    assert "PAIRLOOP_TEST_CHROMIUM" in str(stopped.value)
    machine("playwrights-chromium", "echo Chromium 140.0")
    assert run.chromium(Path(python)) == broken
