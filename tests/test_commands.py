"""What is typed in a terminal: help, and no start of the app by a command that is mistyped."""

import subprocess
import sys
from pathlib import Path

import pytest

import app
from pipeline.version import VERSION

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def typed(monkeypatch, tmp_path):
    """Type words behind the name of the app, whose folder is an empty one."""
    monkeypatch.setenv("PAIRLOOP_HOME", str(tmp_path / "home"))

    def type_it(*words):
        monkeypatch.setattr(sys, "argv", ["pairloop", *words])
        app.main()

    yield type_it
    assert not (tmp_path / "home").exists()


def test_help_and_version_are_said_and_nothing_is_started(typed, capsys):
    for words in ("--help", "--version"):
        with pytest.raises(SystemExit) as ended:
            typed(words)
        assert ended.value.code is None
        if words == "--help":
            assert "pairloop move-store" in capsys.readouterr().out
    assert capsys.readouterr().out.strip() == VERSION


@pytest.mark.parametrize("words", [("move-stor",), ("move-store", "--dry-run"), ("--port", "80"), ("",)])
def test_what_is_no_command_starts_nothing(typed, words):
    with pytest.raises(SystemExit, match="There is no command") as refused:
        typed(*words)
    assert "pairloop move-store" in str(refused.value)


def test_the_files_of_a_space_go_into_a_new_folder_only(tmp_path):
    def run(*words):
        command = [sys.executable, "-m", "space.files", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert run("--help").returncode == 0
    (tmp_path / "there").mkdir()
    there = run("docker", str(tmp_path / "there"))
    assert there.returncode == 1 and "is there already: name a new folder" in there.stderr
    assert list((tmp_path / "there").iterdir()) == []
