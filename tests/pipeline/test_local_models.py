"""Models in GGUF files, asked for real: SmolLM2-135M-Instruct, and tiny files of random weights where its words do not matter."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants

from pipeline.errors import ModelError
from pipeline.models import gguf_process
from pipeline.models.causes import Cause
from pipeline.models.gguf_file import read_gguf
from pipeline.models.gguf_hub import ModelHub
from pipeline.models.local import LocalModel, LocalModels, LocalSpec
from pipeline.models.openai_chat import close_clients
from pipeline.prompts import ANSWER_REVIEW
from pipeline.records import Context
from tests.gguf_files import smollm2, tiny
from tests.hub_server import HubServer

NOWHERE = ModelHub("http://127.0.0.1:9")
CHUNK = Context("c1", "d1", "plans.md", "The Starter plan costs 12 dollars a month and has 3 seats.", 0, 58, 2.0)
QUERY = "What does the Starter plan cost?"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Model files of one module: SmolLM2 is loaded once for all that ask it."""
    opened = LocalModels(tmp_path_factory.mktemp("home"), NOWHERE)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def smol(models):
    return model_of(models, models.configure(str(smollm2()), "", "", 2048), max_tokens=48)


def model_of(models: LocalModels, config: dict, **sampling) -> LocalModel:
    return LocalModel(models, LocalSpec.from_config(config), "a model", ANSWER_REVIEW, 0.0, **sampling)


def ask(coroutine):
    """Run a coroutine in a loop of its own, as the app runs all of them in its one."""

    async def asked():
        try:
            return await coroutine
        finally:
            await close_clients()

    return asyncio.run(asked())


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A child that has ended and was not waited for is still in the list of processes.
    return " Z " not in subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout


def until(condition, seconds: float = 20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_header_says_what_the_gguf_package_reads_in_it(tmp_path):
    import gguf

    path = tiny(tmp_path / "a.gguf", 3)
    read, reader = read_gguf(path), gguf.GGUFReader(path)
    assert read.architecture == reader.fields["general.architecture"].contents()
    assert read.title == reader.fields["general.name"].contents() == "Tiny 3"
    assert read.context_length == reader.fields["llama.context_length"].contents()
    assert read.parameters == sum(int(tensor.n_elements) for tensor in reader.tensors)


def test_the_header_of_a_published_model_is_as_its_card_says():
    read = read_gguf(smollm2())
    assert (read.architecture, read.context_length, read.parameters) == ("llama", 8192, 134_515_008)
    assert read.has_chat_template and read.parts == 1 and read.size == smollm2().stat().st_size


def test_an_answer_streams_and_its_tokens_are_counted_as_the_model_counts_them(smol, models):
    seen: list[tuple[float, str]] = []
    answer = ask(smol.answer(QUERY, [CHUNK], lambda text: seen.append((time.perf_counter(), text))))
    assert len(seen) > 3 and seen[0][0] < seen[-1][0] - 0.01
    assert all(after.startswith(before) for (_, before), (_, after) in zip(seen, seen[1:], strict=False))
    assert seen[-1][1].strip() == answer.text and 0 < answer.first_text_seconds < answer.seconds
    assert answer.completion_tokens == counted(models, answer.text)
    # The template of the file is around the prompt: a few tokens more than its text.
    assert 50 < answer.prompt_tokens < 500
    (loaded,) = models.loaded()
    assert loaded.seconds > 0 and loaded.memory > 50_000_000


def counted(models: LocalModels, text: str) -> int:
    """Ask the model's own tokenizer, and add the token that ends an answer."""
    (server,) = models._servers.values()
    body = json.dumps({"content": text, "add_special": False}).encode()
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.address}/tokenize", data=body, headers=headers)
    with urllib.request.urlopen(request) as reply:
        return len(json.load(reply)["tokens"]) + 1


def test_a_prompt_that_is_too_long_is_refused_in_words_and_the_next_one_is_answered(smol):
    async def both():
        with pytest.raises(ModelError, match="longer than the 2,048 tokens") as refused:
            await smol.chat([{"role": "user", "content": "word " * 3000}])
        return refused.value, await smol.chat([{"role": "user", "content": "Say hello."}])

    refused, answer = ask(both())
    assert refused.cause == Cause.TOO_LONG and answer.text


def test_the_server_is_only_for_this_app(smol, models):
    ask(smol.chat([{"role": "user", "content": "Say hello."}]))
    (server,) = models._servers.values()
    assert server.address.startswith("http://127.0.0.1:")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{server.address}/v1/models")


def test_who_gives_up_waiting_leaves_the_model_to_the_next(smol):
    async def impatient():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(smol.chat([{"role": "user", "content": "Count from one to a thousand."}]), 0.3)
        return await asyncio.wait_for(smol.chat([{"role": "user", "content": "Say hello."}]), 60)

    assert ask(impatient()).text


@asynccontextmanager
async def lent(models: LocalModels, config: dict):
    async with models.use(LocalSpec.from_config(config)) as server:
        yield server


def test_what_was_not_asked_for_longest_gives_way_and_what_is_in_use_does_not(tmp_path):
    models = LocalModels(tmp_path, NOWHERE, most=2)
    first, second, third = (
        models.configure(str(tiny(tmp_path / f"{seed}.gguf", seed)), "", "", 512) for seed in range(3)
    )

    async def turns():
        async with lent(models, first) as one:
            async with lent(models, second) as two:
                pids = one._process.pid, two._process.pid
            async with lent(models, third):
                assert [item.file for item in models.loaded()] == ["0.gguf", "2.gguf"]
                assert lives(pids[0]) and not lives(pids[1])
                waiting = asyncio.create_task(
                    model_of(models, second, max_tokens=4).chat([{"role": "user", "content": "a"}])
                )
                await asyncio.sleep(0.1)
                assert not waiting.done()
        assert (await waiting).completion_tokens == 4
        async with lent(models, first) as again:
            assert again.asked == 1 or again.asked == 2

    try:
        ask(turns())
    finally:
        models.close()
    assert models.loaded() == []


def test_answers_of_many_at_once_wait_for_their_turn(tmp_path):
    models = LocalModels(tmp_path, NOWHERE, most=1)
    configs = [models.configure(str(tiny(tmp_path / f"{seed}.gguf", seed)), "", "", 512) for seed in range(2)]

    async def crowd():
        asked = [
            model_of(models, configs[n % 2], max_tokens=4).chat([{"role": "user", "content": "a"}]) for n in range(12)
        ]
        return await asyncio.gather(*asked)

    try:
        assert [answer.completion_tokens for answer in ask(crowd())] == [4] * 12
    finally:
        models.close()


def test_a_process_that_was_killed_is_told_of_and_started_again(tmp_path):
    models = LocalModels(tmp_path, NOWHERE)
    config = models.configure(str(tiny(tmp_path / "a.gguf")), "", "", 512)

    async def killed():
        model = model_of(models, config, max_tokens=400)
        busy = asyncio.create_task(model.chat([{"role": "user", "content": "a"}]))
        while not models.loaded():
            await asyncio.sleep(0.01)
        (server,) = models._servers.values()
        server._process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.05)
        server._process.kill()
        with pytest.raises(ModelError, match=r"a\.gguf stopped while it answered \(signal 9\)"):
            await busy
        return await model_of(models, config, max_tokens=4).chat([{"role": "user", "content": "a"}])

    try:
        assert ask(killed()).completion_tokens == 4
    finally:
        models.close()


def test_a_model_does_not_outlive_the_app_however_that_ends(tmp_path):
    path = tiny(tmp_path / "a.gguf")
    script = f"""
import asyncio, time
from pathlib import Path
from pipeline.models.gguf_hub import ModelHub
from pipeline.models.local import LocalModels, LocalSpec
models = LocalModels(Path({str(tmp_path)!r}), ModelHub(""))
spec = LocalSpec.from_config(models.configure({str(path)!r}, "", "", 512))
async def use():
    async with models.use(spec) as server:
        print(server._process.pid, flush=True)
        time.sleep(60)
asyncio.run(use())
"""
    app = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    with app:
        pid = int(app.stdout.readline())
        assert lives(pid)
        app.kill()
    until(lambda: not lives(pid))


def test_a_stopped_app_loads_nothing_more(tmp_path):
    models = LocalModels(tmp_path, NOWHERE)
    config = models.configure(str(tiny(tmp_path / "a.gguf")), "", "", 512)
    models.close()
    with pytest.raises(ModelError, match="The app is stopping"):
        ask(model_of(models, config).chat([{"role": "user", "content": "a"}]))


def test_a_file_that_was_replaced_is_not_asked_under_the_old_name(tmp_path):
    models = LocalModels(tmp_path, NOWHERE)
    config = models.configure(str(tiny(tmp_path / "a.gguf", 1)), "", "", 512)
    # In the workspace's own folder it is found wherever that is moved to.
    assert config["path"] == "a.gguf"
    tiny(tmp_path / "a.gguf", 2)
    with pytest.raises(ModelError, match="has changed since"):
        ask(model_of(models, config).chat([{"role": "user", "content": "a"}]))


BAD = {
    "missing": (lambda path: None, "There is no file .*: check the path"),
    "folder": (lambda path: path.mkdir(), "is a folder: give the path of a .gguf file"),
    "empty": (lambda path: path.write_bytes(b""), "is no whole GGUF file"),
    "text": (lambda path: path.write_text("hello"), "is no GGUF file"),
    "cut header": (lambda path: cut(path, 3_000), "is no whole GGUF file"),
    "cut weights": (lambda path: cut(path, 100_000), "is no whole GGUF file"),
    "no template": (lambda path: tiny(path, template=None), "has no chat template"),
    "parts": (lambda path: tiny(path, parts=3), "is one of 3 parts"),
}


def cut(path: Path, size: int) -> None:
    tiny(path)
    os.truncate(path, size)


@pytest.mark.parametrize("case", sorted(BAD))
def test_a_file_that_cannot_be_asked_is_refused_in_words(tmp_path, case):
    make, words = BAD[case]
    make(tmp_path / "a.gguf")
    with pytest.raises(ModelError, match=words):
        LocalModels(tmp_path, NOWHERE).configure(str(tmp_path / "a.gguf"), "", "", 512)


def test_a_context_that_the_model_was_not_trained_on_is_refused(tmp_path):
    tiny(tmp_path / "a.gguf", context=1024)
    for wrong in (16, 4096):
        with pytest.raises(ModelError, match="from 512 to 1024"):
            LocalModels(tmp_path, NOWHERE).configure("a.gguf", "", "", wrong)


def test_a_file_that_llama_cpp_refuses_is_told_of_in_its_own_words(tmp_path):
    models = LocalModels(tmp_path, NOWHERE)
    path = tiny(tmp_path / "a.gguf")
    path.write_bytes(path.read_bytes().replace(b"blk.1.ffn_down.weight", b"blk.1.ffn_DOWN.weight"))
    config = models.configure(str(path), "", "", 512)
    with pytest.raises(ModelError, match=r"a\.gguf could not be loaded: .*blk\.1\.ffn_down\.weight' not found"):
        ask(model_of(models, config).chat([{"role": "user", "content": "a"}]))
    assert models.loaded() == []
    models.close()


def test_without_the_extra_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    models = LocalModels(tmp_path, NOWHERE)
    config = models.configure(str(tiny(tmp_path / "a.gguf")), "", "", 512)
    monkeypatch.setattr(gguf_process, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install -c constraints\.txt -e '\.\[local\]'"):
        ask(model_of(models, config).chat([{"role": "user", "content": "a"}]))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub with model repos, and a cache that nobody else sees."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with HubServer() as server:
        server.add_repo("team/tiny-GGUF", kind="models")
        server.commit_by_others(
            "models/team/tiny-GGUF", {"sub/tiny.gguf": tiny(tmp_path / "t.gguf").read_bytes(), "README.md": b"#"}
        )
        yield server


def test_a_file_of_the_hub_is_fetched_once_and_its_commit_is_kept(tmp_path, hub):
    models = LocalModels(tmp_path, ModelHub(hub.url))
    config = models.configure("", "team/tiny-GGUF", "", 512)
    commit = hub.repo("models/team/tiny-GGUF").at("main").oid
    assert (config["repo"], config["file"], config["revision"]) == ("team/tiny-GGUF", "sub/tiny.gguf", commit)
    # The repo goes on, the network goes away: the model stays what it was.
    hub.commit_by_others("models/team/tiny-GGUF", {"sub/tiny.gguf": tiny(tmp_path / "u.gguf", 5).read_bytes()})
    hub.stop()
    assert ask(model_of(models, config, max_tokens=4).chat([{"role": "user", "content": "a"}])).completion_tokens == 4
    models.close()


def test_what_the_hub_does_not_have_is_said_in_words(tmp_path, hub):
    hub.commit_by_others("models/team/tiny-GGUF", {"other.gguf": b"x"})
    hub.add_repo("team/none", kind="models")
    models = LocalModels(tmp_path, ModelHub(hub.url))
    for repo, file, words in (
        ("team/tiny-GGUF", "", "has several files; give the name of one of them: other.gguf, sub/tiny.gguf"),
        ("team/tiny-GGUF", "nope.gguf", "has no file nope.gguf. It has: other.gguf"),
        ("team/none", "", "has no .gguf file"),
        ("team/absent", "", "has no model team/absent"),
        ("nonsense", "", "owner/name"),
    ):
        with pytest.raises(ModelError, match=words):
            models.configure("", repo, file, 512)
    hub.stop()
    began = time.monotonic()
    with pytest.raises(ModelError, match="is not on this machine yet, and .* cannot be reached"):
        models.configure("", "team/tiny-GGUF", "sub/tiny.gguf", 512)
    assert time.monotonic() - began < 10


def test_a_model_of_this_machine_is_not_asked_by_way_of_a_proxy(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    models = LocalModels(tmp_path, NOWHERE)
    config = models.configure(str(tiny(tmp_path / "a.gguf")), "", "", 512)
    assert ask(model_of(models, config, max_tokens=4).chat([{"role": "user", "content": "a"}])).completion_tokens == 4
    models.close()


def test_a_copy_of_a_file_is_the_same_model(tmp_path):
    models = LocalModels(tmp_path, NOWHERE)
    tiny(tmp_path / "a.gguf")
    shutil.copy(tmp_path / "a.gguf", tmp_path / "b.gguf")
    first, second = (models.configure(name, "", "", 512) for name in ("a.gguf", "b.gguf"))
    assert first["sha256"] == second["sha256"]
