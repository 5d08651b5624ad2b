import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.home import claim
from tests.servers import AppProcess, QuickApp
from tests.workspace import open_workspace

ROOT = Path(__file__).resolve().parents[2]


def test_a_workspace_belongs_to_one_process_and_is_free_after_its_end(tmp_path):
    first = open_workspace(tmp_path / "home")
    with pytest.raises(SettingsError, match="Another Pairloop is using .*home: stop it, or set PAIRLOOP_HOME"):
        open_workspace(tmp_path / "home")
    first.close()
    open_workspace(tmp_path / "home").close()


def test_a_killed_process_leaves_the_workspace_free(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from pipeline.home import claim\n"
        "held = claim(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    with pytest.raises(SettingsError):
        claim(tmp_path)
    process.kill()
    process.wait()
    claim(tmp_path).release()


def test_a_home_that_is_a_file_is_named(tmp_path):
    (tmp_path / "home").write_text("mine")
    with pytest.raises(SettingsError, match="home cannot be used .* PAIRLOOP_HOME"):
        claim(tmp_path / "home")


def test_a_second_app_on_one_home_or_one_port_ends_with_a_sentence_and_leaves_the_first_alone(tmp_path):
    with QuickApp(tmp_path / "home", PAIRLOOP_EXAMPLE="0") as first:
        for second, message in (
            # A process of its own, which ends as Python ends one, and a forked one.
            (AppProcess.second(first, first.home, 0), "Another Pairloop is using"),
            (first.second(tmp_path / "other", first.port), "It cannot listen on 127.0.0.1:"),
        ):
            assert second.returncode == 1 and "Traceback" not in second.stderr
            assert second.stderr.startswith("Pairloop cannot start. ") and message in second.stderr
        assert first.stop() == 0
