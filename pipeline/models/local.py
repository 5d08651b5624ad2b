"""Models in GGUF files on this machine: found, loaded when they are first asked, kept, and asked like any endpoint."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

from pipeline.errors import ModelError
from pipeline.models.causes import Cause
from pipeline.models.gguf_file import GgufFile, fingerprint, usable_gguf
from pipeline.models.gguf_hub import ModelHub
from pipeline.models.gguf_process import STOPPING, ModelProcess
from pipeline.models.openai_chat import ChatModel
from pipeline.prompts import Template
from pipeline.records import Answer, Context

# Two files of a laptop's size fit beside each other, so a base and its tuned model answer a run without reloading.
MOST_LOADED = 2
LEAST_CONTEXT, MOST_CONTEXT, USUAL_CONTEXT = 512, 131_072, 4096
# A small model that has lost its thread would go on to the end of its context.
LONGEST_ANSWER_TOKENS = 512
# The process is ours: silence is a slow machine that reads a long prompt, and an end is told at once.
_SILENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class LocalSpec:
    """A model file with what it is loaded with: what a registry entry keeps of it.

    The file has a ``path`` (a relative one is in the workspace's folder), or a ``repo`` of the Hub with ``file`` and
    ``revision``. ``sha256`` makes sure that it is the same file each time.
    """

    sha256: str
    n_ctx: int
    path: str = ""
    repo: str = ""
    file: str = ""
    revision: str = ""

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> LocalSpec:
        """Return the file of a registry entry."""
        names = ("sha256", "path", "repo", "file", "revision")
        return cls(**{name: str(config.get(name) or "") for name in names}, n_ctx=int(config["n_ctx"]))

    @property
    def name(self) -> str:
        """The name of the file, without its folder."""
        return Path(self.path or self.file).name


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is in memory now: how long it took to load, and how many bytes its process takes, if that is known."""

    name: str
    file: str
    seconds: float
    memory: int | None
    asked: int


class LocalModels:
    """The model files that are loaded: each in a process of its own, the one not asked for longest giving way."""

    def __init__(self, home: Path, hub: ModelHub, most: int = MOST_LOADED) -> None:
        self._home = home
        self._hub = hub
        self._most = most
        self._changed = threading.Condition()
        self._servers: OrderedDict[tuple[str, int], ModelProcess] = OrderedDict()
        self._closed = False
        # One answer at a time from each file; waiting here and not at the server, where it would count as silence.
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], asyncio.Lock]] = (
            WeakKeyDictionary()
        )

    def configure(self, path: str, repo: str, file: str, n_ctx: int) -> dict[str, object]:
        """Return the configuration of a model: its file is found, fetched if it must be, read and fingerprinted.

        Raises:
            ModelError: the file or the length of the context cannot be used.
        """
        if bool(path) == bool(repo):
            raise ModelError("Give either the path of a .gguf file, or the Hub repo that has it.")
        place: dict[str, object] = {}
        if repo:
            fetched = self._hub.fetch(repo, file)
            found, place = fetched.path, {"repo": repo, "file": fetched.file, "revision": fetched.revision}
        else:
            found = self._home / Path(path).expanduser()
            place = {"path": str(found.relative_to(self._home) if found.is_relative_to(self._home) else found)}
        told = usable_gguf(found)
        most = min(told.context_length or MOST_CONTEXT, MOST_CONTEXT)
        if not LEAST_CONTEXT <= n_ctx <= most:
            raise ModelError(f"The context of {told.title} is a whole number of tokens from {LEAST_CONTEXT} to {most}.")
        return {**place, "sha256": fingerprint(found), "n_ctx": n_ctx, "model_id": told.title, "size": told.size}

    def file(self, spec: LocalSpec) -> Path:
        """Return the path of a model's file, having looked that it is the one that was registered.

        Raises:
            ModelError: it is missing, or another one.
        """
        cached = self._hub.fetch(spec.repo, spec.file, spec.revision).path if spec.repo else None
        found = cached or self._home / spec.path
        if fingerprint(found) != spec.sha256:
            raise ModelError(
                f"{found} is not the file that was registered: it has changed since. Register it as another model."
            )
        return found

    def read(self, spec: LocalSpec) -> GgufFile:
        """Return what a model's file says of itself: quick, without the network and without a look at all of the file.

        Raises:
            ModelError: it is not on this machine, or cannot be used.
        """
        return usable_gguf(
            self._hub.cached(spec.repo, spec.file, spec.revision) if spec.repo else self._home / spec.path
        )

    def loaded(self) -> list[Loaded]:
        """Return the models that are in memory now, the one asked last at the end."""
        with self._changed:
            servers = [server for server in self._servers.values() if server.address and server.runs]
            return [Loaded(item.name, item.file, item.seconds, item.memory, item.asked) for item in servers]

    @asynccontextmanager
    async def use(self, spec: LocalSpec, name: str = "") -> AsyncIterator[ModelProcess]:
        """Give the server of a model file for one answer, loading it if it must be; nothing here blocks the event loop.

        ``name`` is what people know the model as.

        Raises:
            ModelError: it cannot be loaded; the message says why.
        """
        turns = self._turns.setdefault(asyncio.get_running_loop(), {})
        async with turns.setdefault(_key(spec), asyncio.Lock()):
            server = self._take_loaded(spec) or await self._load_aside(spec)
            try:
                server.name = name or spec.name
                yield server
            finally:
                self._give_back(server)

    def close(self) -> None:
        """End all models. One that is asked afterwards is not loaded again."""
        with self._changed:
            self._closed = True
            servers = list(self._servers.values())
            self._servers.clear()
            self._changed.notify_all()
        for server in servers:
            server.end()

    async def _load_aside(self, spec: LocalSpec) -> ModelProcess:
        loading = asyncio.get_running_loop().run_in_executor(None, self._take, spec)
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            # It loads on, for whoever asks next, but nobody holds it.
            loading.add_done_callback(lambda done: done.exception() or self._give_back(done.result()))
            raise

    def _take_loaded(self, spec: LocalSpec) -> ModelProcess | None:
        with self._changed:
            server = self._servers.get(_key(spec))
            if server is None or not server.address or not server.runs:
                return None
            return self._taken(spec, server)

    def _taken(self, spec: LocalSpec, server: ModelProcess) -> ModelProcess:
        self._servers.move_to_end(_key(spec))
        server.users += 1
        server.asked += 1
        return server

    def _give_back(self, server: ModelProcess) -> None:
        with self._changed:
            server.users -= 1
            self._changed.notify_all()

    def _take(self, spec: LocalSpec) -> ModelProcess:
        """Wait for a place among the loaded models and load into it; runs in a thread."""
        server = self._place(spec)
        if server.address:
            return server
        try:
            server.start(self.file(spec), spec.n_ctx)
        finally:
            with self._changed:
                if not server.address:
                    self._servers.pop(_key(spec), None)
                self._changed.notify_all()
        return server

    def _place(self, spec: LocalSpec) -> ModelProcess:
        """Return the loaded server of a file, or the place of one that the caller is to start."""
        while True:
            leaving = None
            with self._changed:
                if self._closed:
                    raise ModelError(STOPPING)
                server = self._servers.get(_key(spec))
                if server is not None and server.address and server.runs:
                    return self._taken(spec, server)
                if server is not None and server.address:
                    leaving = self._servers.pop(_key(spec))
                elif server is None and len(self._servers) < self._most:
                    self._servers[_key(spec)] = ModelProcess(spec.name)
                    return self._taken(spec, self._servers[_key(spec)])
                else:
                    idle = None if server else next((k for k, s in self._servers.items() if not s.users), None)
                    if idle is None:
                        self._changed.wait()
                    else:
                        leaving = self._servers.pop(idle)
            if leaving is not None:
                leaving.end()


@dataclass(frozen=True, eq=False)
class LocalModel:
    """Answers with a model file. It is a :class:`ChatModel` at the file's own server, so streaming and counts are the same."""

    models: LocalModels = field(repr=False)
    spec: LocalSpec
    name: str
    template: Template = field(repr=False)
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int = LONGEST_ANSWER_TOKENS

    async def answer(
        self, query: str, contexts: Sequence[Context], on_text: Callable[[str], None] | None = None
    ) -> Answer:
        """Return the model's answer.

        Raises:
            ModelError: the file cannot be loaded, or gave no usable answer.
        """
        return await self._asked(lambda chat: chat.answer(query, contexts, on_text))

    async def chat(self, messages: list[dict[str, str]], on_text: Callable[[str], None] | None = None) -> Answer:
        """Return what the model replies to ``messages``, as it is.

        Raises:
            ModelError: as for :meth:`answer`.
        """
        return await self._asked(lambda chat: chat.chat(messages, on_text))

    async def _asked(self, ask: Callable[[ChatModel], Awaitable[Answer]]) -> Answer:
        async with self.models.use(self.spec, self.name) as server:
            chat = ChatModel(
                base_url=f"{server.address}/v1",
                api_key=server.key,
                model_id=self.name,
                template=self.template,
                temperature=self.temperature,
                top_p=self.top_p,
                max_tokens=self.max_tokens,
                timeout=_SILENCE_SECONDS,
            )
            try:
                return await ask(chat)
            except ModelError as error:
                if not server.runs:
                    raise ModelError(
                        f"{self.spec.name} stopped while it answered ({server.last_words}). It is loaded again when it is "
                        "asked next; if it stops again, the file or the memory of this machine does not suffice.",
                        Cause.CUT_OFF,
                        error.attempts,
                    ) from error
                if error.cause == Cause.TOO_LONG:
                    raise ModelError(
                        f"The query with its contexts is longer than the {self.spec.n_ctx:,} tokens that {self.name} reads and "
                        "writes: register the file with a longer context, or lower PAIRLOOP_TOP_K.",
                        Cause.TOO_LONG,
                        error.attempts,
                    ) from error
                raise


def _key(spec: LocalSpec) -> tuple[str, int]:
    return (spec.sha256, spec.n_ctx)
