"""Models in GGUF files: registered, tried, and answering beside those of endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.cleaning import clean
from pipeline.errors import ModelError
from pipeline.models.gguf_process import MISSING, installed
from pipeline.models.local import USUAL_CONTEXT, Loaded, LocalModel, LocalModels, LocalSpec
from pipeline.prompts import ANSWER_REVIEW
from pipeline.records import Model
from pipeline.registry import Provider, Registry
from pipeline.store import Store

LOCAL = "local"
_MOST_TOKENS = 100_000
_QUESTION = "Say hello in one short sentence."


@dataclass(frozen=True, slots=True)
class LocalChoice:
    """A model file as somebody chose it: a ``path``, or the ``repo`` of the Hub with the name of a ``file`` in it.

    ``n_ctx`` is how many tokens it reads and writes together, ``max_tokens`` how many of these an answer has at most.
    """

    path: str = ""
    repo: str = ""
    file: str = ""
    n_ctx: int = USUAL_CONTEXT
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """What a model file said to a short question, and what loading it took."""

    text: str
    title: str
    size: int
    loaded: Loaded | None
    seconds: float
    prompt_tokens: int | None
    completion_tokens: int | None


class LocalDesk:
    """Registers model files and asks them. Only owners may name a path: the file is read with the rights of the app."""

    def __init__(self, store: Store, registry: Registry, models: LocalModels) -> None:
        self._store = store
        self._registry = registry
        self._models = models
        registry.provide(LOCAL, Provider(self._answerer, words, chats=True))

    @property
    def unavailable(self) -> str:
        """Why no model file can be asked now, or ""."""
        return "" if installed() else MISSING

    def loaded(self) -> list[Loaded]:
        """Return the models that are in memory now."""
        return self._models.loaded()

    def register(self, name: str, choice: LocalChoice, template: str) -> Model:
        """Register a model file under a prompt template; a file of the Hub is fetched first.

        Raises:
            ModelError: the file, the name or a number cannot be used; the message says what to change.
            NotFoundError: there is no such template.
        """
        if self.unavailable:
            raise ModelError(self.unavailable)
        return self._registry.register(name, LOCAL, self._config(choice), template)

    async def test(self, choice: LocalChoice) -> Tried:
        """Load a model file that is not registered and ask it one short question.

        Raises:
            ModelError: it cannot be used or gave no answer.
        """
        config = await asyncio.to_thread(self._config, choice)
        model = self._model(config, str(config["model_id"]), ANSWER_REVIEW.name)
        answer = await model.chat([{"role": "user", "content": _QUESTION}])
        loaded = next((item for item in reversed(self.loaded()) if item.file == model.spec.name), None)
        return Tried(
            text=answer.text,
            title=model.name,
            size=int(config["size"]),
            loaded=loaded,
            seconds=answer.seconds,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
        )

    def close(self) -> None:
        """End the processes of all model files."""
        self._models.close()

    def _config(self, choice: LocalChoice) -> dict[str, object]:
        _check_sampling(choice)
        place = (clean(text or "").strip() for text in (choice.path, choice.repo, choice.file))
        config = self._models.configure(*place, choice.n_ctx)
        sampling = {"temperature": choice.temperature, "top_p": choice.top_p, "max_tokens": choice.max_tokens}
        return {**config, **{name: value for name, value in sampling.items() if value is not None}}

    def _answerer(self, model: Model) -> LocalModel:
        return self._model(model.config, model.name, model.template)

    def _model(self, config: Mapping[str, object], name: str, template: str) -> LocalModel:
        sampling = {key: config[key] for key in ("temperature", "top_p", "max_tokens") if config.get(key) is not None}
        return LocalModel(
            self._models, LocalSpec.from_config(config), name, self._store.templates.find(template), **sampling
        )


def words(model: Model) -> str:
    """Say what a model file is."""
    spec, config = LocalSpec.from_config(model.config), model.config
    place = f"of {spec.repo}" if spec.repo else "on this machine"
    numbers = [
        f"{name} {config[key]:g}" for name, key in (("temperature", "temperature"), ("top p", "top_p")) if key in config
    ]
    most = [f"at most {config['max_tokens']:,} tokens"] if "max_tokens" in config else []
    return ", ".join([f"File {spec.name} {place}", f"context {spec.n_ctx:,} tokens", *numbers, *most])


def _check_sampling(choice: LocalChoice) -> None:
    for value, high, said in (
        (choice.temperature, 2, "A temperature is a number from 0 to 2."),
        (choice.top_p, 1, "Top p is a number from 0 to 1."),
    ):
        if value is not None and not 0 <= value <= high:
            raise ModelError(said)
    if not isinstance(choice.n_ctx, int):
        raise ModelError("The context is a whole number of tokens.")
    if choice.max_tokens is not None and not (
        isinstance(choice.max_tokens, int) and 1 <= choice.max_tokens <= _MOST_TOKENS
    ):
        raise ModelError(f"The most tokens of an answer are a whole number from 1 to {_MOST_TOKENS:,}.")
