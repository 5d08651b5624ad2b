"""The app as a Space runs it: exactly the published files, the Space's environment, nothing to write but a temporary folder."""

import json
import urllib.request

import pytest

from tests.space.on_a_space import TOKEN, Device, SpaceProcess
from tests.space_hub import SpaceHub
from tests.visitor import Visitor

DATA = "team/pairloop-data"
GRACE_SECONDS = 10


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A Space that somebody used, that was stopped, and that was started again on ZeroGPU; what was seen meanwhile."""
    folder = tmp_path_factory.mktemp("space")
    volume = folder / "data"
    volume.mkdir()
    seen = {"folder": folder, "volume": volume}
    with SpaceHub() as hub, Device() as device, SpaceProcess(folder, hub.url, PAIRLOOP_DATA_DIR=str(volume)) as space:
        space.start()
        seen["page"] = get(space, "/")
        seen["ready"] = json.loads(get(space, "/readyz"))
        visitor = Visitor(space.url)
        visitor.call("rename_person", event={"name": "Ada of the Space"})
        seen["stopping"] = space.stop()
        seen["first disk"] = [path.name for path in space.disk.rglob("pairloop.db")]
        space.start(SPACES_ZERO_GPU="true", SPACES_ZERO_DEVICE_API_URL=device.url)
        seen["device"] = list(device.asked)
        seen["after"] = Visitor(space.url, visitor.token).call("show_header")[0]
        seen["queue"] = Visitor(space.url, visitor.token).call("show_storage")
        space.stop()
        seen["log"], seen["home"] = space.log.read_text(), list(space.home.iterdir())
        seen["private"], seen["files"] = hub.repo(DATA).private, hub.files(DATA)
    return seen


def get(space: SpaceProcess, path: str) -> str:
    with urllib.request.urlopen(space.url + path, timeout=30) as answer:
        assert answer.status == 200
        return answer.read().decode()


def test_it_serves_the_page_to_whoever_comes(lived):
    assert "gradio" in lived["page"] and "Pairloop: http://0.0.0.0:" in lived["log"]


def test_it_says_that_it_is_ready_and_how_its_back_up_is(lived):
    assert lived["ready"]["ready"] and lived["ready"]["store"] == "ok"
    assert lived["ready"]["backup"]["state"] in ("backed_up", "waiting")


def test_it_makes_its_own_private_dataset_repo_from_a_token_alone(lived):
    assert lived["private"] and any(name.startswith("journal/") for name in lived["files"])


def test_it_stops_in_time_and_comes_back_with_everything_on_a_new_disk(lived):
    assert lived["first disk"] == ["pairloop.db"] and lived["stopping"] < GRACE_SECONDS
    assert "Ada of the Space" in lived["after"]


def test_a_volume_gets_the_journal_and_never_the_store(lived):
    names = [path.suffix for path in lived["volume"].rglob("*") if path.is_file()]
    assert ".jsonl" in names and ".db" not in names


def test_nothing_is_written_where_nothing_may_be(lived):
    assert lived["home"] == []


def test_the_log_has_no_traceback_and_no_secret(lived):
    assert "Traceback" not in lived["log"] and TOKEN not in lived["log"]


def test_zero_gpu_is_told_that_the_app_is_there(lived):
    assert [call.partition("?")[0] for call in lived["device"]] == ["POST /startup-report"]
