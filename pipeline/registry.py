"""The models of a workspace: which there are, and what answers for each of them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from pipeline.chat_configs import OTHER, PRESETS, ChatConfig, checked
from pipeline.cleaning import clean
from pipeline.errors import ModelError
from pipeline.models import Answerer, SyncAnswerer
from pipeline.models.extractive import ExtractiveAnswerer, ExtractiveWeights, base
from pipeline.models.judges import ChatJudge, Judge, LexicalJudge
from pipeline.models.openai_chat import ChatModel
from pipeline.models.replies import Probe
from pipeline.naming import free_name
from pipeline.prompts import ANSWER_REVIEW
from pipeline.records import IMPORTED, Model, id_of
from pipeline.retrieval import LexicalIndex
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.rows import now

BASE_NAME = "extractive-base"
CHAT = "openai"
EXTRACTIVE_WORDS = "Embedded: picks sentences of the contexts; not a language model"
IMPORTED_WORDS = "Came with imported votes: only its results are here, it answers nothing"
_VERSION = re.compile(r" v\d+$")
# The model of the environment: its address and its key are wherever the environment has them now.
_OF_ENVIRONMENT = ("OPENAI_API_KEY", "OPENAI_BASE_URL")


@dataclass(frozen=True, slots=True)
class Provider:
    """A kind of model. ``make`` returns what answers for one, ``words`` says what it is; ``chats`` if it follows any prompt."""

    make: Callable[[Model], Answerer]
    words: Callable[[Model], str]
    chats: bool = False


class Registry:
    """Registered models and their answerers. A chat model keeps its endpoint and its key's name; the key is the settings'."""

    def __init__(self, store: Store, index: LexicalIndex, settings: Settings) -> None:
        self._store = store
        self._index = index
        self._settings = settings
        self._answerers: dict[str, Answerer] = {}
        self._lock = threading.Lock()
        self._changing = threading.RLock()
        self._providers: dict[str, Provider] = {
            "extractive": Provider(self._extractive, lambda _: EXTRACTIVE_WORDS),
            CHAT: Provider(self._chat, self._chat_words, chats=True),
            IMPORTED: Provider(_refuse_imported, lambda _: IMPORTED_WORDS),
        }

    def provide(self, name: str, provider: Provider) -> None:
        """Let models of a further provider answer."""
        self._providers[name] = provider

    def ensure_defaults(self) -> None:
        """Register the embedded answerer, and the endpoint of the settings, where they are missing."""
        models = self.all()
        if BASE_NAME not in {model.name for model in models}:
            self.add(BASE_NAME, "extractive", base().to_config(), ANSWER_REVIEW.name)
        known = {model.config.get("model_id") for model in models if self._is_here(model)}
        wanted = self._settings.openai_model
        if self.endpoint and wanted and wanted not in known:
            # Whatever the endpoint calls it and whoever has that name already: the app must start.
            name = free_name(wanted, {model.name for model in self.all()}, "{name} {n}")
            config = {"model_id": wanted, "temperature": None, "endpoint": self.endpoint}
            self.add(name, CHAT, config, ANSWER_REVIEW.name)

    def all(self) -> list[Model]:
        """Return all models, oldest first."""
        return self._store.models.all()

    def answering(self) -> list[Model]:
        """Return the models to choose from, oldest first: those that can answer and are not retired."""
        return [model for model in self.all() if model.provider != IMPORTED and model.retired_at is None]

    def chatting(self) -> list[Model]:
        """Return those of them that follow any prompt: language models, which can judge or write queries too."""
        return [model for model in self.answering() if self._provider(model).chats]

    @property
    def endpoint(self) -> str:
        """The endpoint of the environment, or "" where none is configured."""
        if self._settings.openai_base_url:
            return self._settings.openai_base_url.rstrip("/")
        return "https://api.openai.com/v1" if self._settings.openai_api_key else ""

    def add_chat_model(self, name: str, config: ChatConfig, template: str) -> Model:
        """Register a model of an endpoint under a prompt template.

        Raises:
            ModelError: the name or the configuration cannot be used; the message says what to change.
            NotFoundError: there is no such template.
        """
        return self.register(name, CHAT, self._checked(config).to_config(), template)

    def register(self, name: str, provider: str, config: dict[str, object], template: str) -> Model:
        """Register a model of any provider, whose configuration is right, under a name that is free.

        Raises:
            ModelError: the name cannot be used.
            NotFoundError: there is no such template.
        """
        name = _checked_name(name)
        self._store.templates.find(template)
        with self._changing, self._store.database.alone("models"):
            if name in {model.name for model in self.all()}:
                raise ModelError(f"There is a model named {name} already. Models never change: choose another name.")
            return self.add(name, provider, config, template)

    def change_chat_model(self, model_id: str, config: ChatConfig, template: str) -> Model:
        """Register the next version of a model of an endpoint; the version before is retired, and its answers stay.

        Raises:
            ModelError: as for :meth:`add_chat_model`, or nothing has changed, or the model was changed or retired meanwhile.
            NotFoundError: there is no such model or template.
        """
        old = self._store.models.get(model_id)
        kept = _trained(old) if old.config.get("model_id") == config.model_id else {}
        return self.replace(model_id, {**self._checked(config).to_config(), **kept}, template)

    def replace(self, model_id: str, config: dict[str, object], template: str) -> Model:
        """Register the next version of a model of any provider, as :meth:`change_chat_model` does."""
        self._store.templates.find(template)
        with self._changing, self._store.database.alone("models"):
            old = self._store.models.get(model_id)
            newer = next((model for model in self.all() if model.replaces_id == old.id), None)
            if newer:
                raise ModelError(f"{old.name} was replaced by {newer.name} already: change that one.")
            if (self.config_of(old) if old.provider == CHAT else dict(old.config), old.template) == (config, template):
                raise ModelError("Nothing has changed. A new version would be the same model under another name.")
            stem = _VERSION.sub("", old.name) if old.replaces_id else old.name
            name = free_name(f"{stem} v{self._version(old) + 1}", {model.name for model in self.all()}, "{name}.{n}")
            version = Model(
                id_of("model", name, old.provider, json.dumps(config, sort_keys=True), template, old.id),
                name,
                old.provider,
                config,
                template,
                parent_id=old.parent_id,
                job_id=old.job_id,
                created_at=now(),
                replaces_id=old.id,
            )
            self._store.models.replace(version)
            return version

    def retire(self, model_id: str) -> Model:
        """Offer a model no more. What it answered stays, and what refers to it.

        Raises:
            ModelError: nothing would be left that answers.
            NotFoundError: there is no such model.
        """
        with self._changing, self._store.database.alone("models"):
            model = self._store.models.get(model_id)
            if [item.id for item in self.answering()] == [model_id]:
                raise ModelError(f"{model.name} is the only model that answers: add or bring back another one first.")
            self._store.models.retire(model_id)
            return self._store.models.get(model_id)

    def bring_back(self, model_id: str) -> Model:
        """Offer a retired model again.

        Raises:
            NotFoundError: there is no such model.
        """
        self._store.models.retire(model_id, retired=False)
        return self._store.models.get(model_id)

    def what_is(self, model: Model) -> str:
        """Say in words what a model is."""
        try:
            return self._provider(model).words(model)
        except ModelError as error:
            return str(error)

    def config_of(self, model: Model) -> dict[str, object]:
        """Return how a chat model is asked, as a new version of it would keep it."""
        config = ChatConfig.from_config(model.config)
        if "key" not in model.config:
            preset = next((item.name for item in PRESETS.values() if item.endpoint == config.endpoint), OTHER)
            key = _OF_ENVIRONMENT[0] if self._settings.openai_api_key and self._is_here(model) else ""
            config = replace(config, preset=preset, key=key)
        return {**config.to_config(), **_trained(model)}

    def answerer(self, model_id: str) -> Answerer:
        """Return what answers for a model, a retired one too; one object per model, so that its connections are reused."""
        with self._lock:
            if model_id not in self._answerers:
                model = self._store.models.get(model_id)
                self._answerers[model_id] = self._provider(model).make(model)
            return self._answerers[model_id]

    def judge(self, model_id: str) -> Judge:
        """Return what judges for a model: a chat model is asked, an embedded one counts words.

        Raises:
            ModelError: its endpoint is not configured.
            NotFoundError: there is no such model.
        """
        answerer = self.answerer(model_id)
        if self._provider(self._store.models.get(model_id)).chats:
            return ChatJudge(answerer)
        return LexicalJudge(self._index.terms, self._index.idf)

    async def test(self, config: ChatConfig, messages: list[dict[str, str]]) -> Probe:
        """Send one request to a model that is not registered, and return what came back.

        Raises:
            ModelError: it cannot be asked so, or the endpoint gave no reply; the message says why and what to do.
        """
        model = self._asked_at(self._checked(config), ANSWER_REVIEW.name)
        return await replace(model, max_retries=0).probe(messages)

    async def list_endpoint(self, config: ChatConfig) -> list[str]:
        """Return the ids of the models that an endpoint says it has; ``model_id`` of the configuration may be empty.

        Raises:
            ModelError: as for :meth:`test`.
        """
        asked = self._checked(replace(config, model_id=config.model_id or "any"))
        return await replace(self._asked_at(asked, ANSWER_REVIEW.name), max_retries=0).list_models()

    def add(
        self, name: str, provider: str, config: dict[str, object], template: str, parent_id: str | None = None
    ) -> Model:
        """Store a model of any provider; its name must be free and its configuration right."""
        # Replicas that register the same model have one model when they meet.
        model_id = id_of("model", name, provider, json.dumps(config, sort_keys=True), template)
        model = Model(model_id, name, provider, config, template, parent_id=parent_id, created_at=now())
        self._store.models.add(model)
        return model

    def _version(self, model: Model) -> int:
        by_id, number = {item.id: item for item in self.all()}, 1
        while model.replaces_id in by_id:
            model, number = by_id[model.replaces_id], number + 1
        return number

    def _provider(self, model: Model) -> Provider:
        if model.provider not in self._providers:
            return Provider(_refuse_unknown, lambda _: "Of a kind that this version of the app does not know")
        return self._providers[model.provider]

    def _checked(self, config: ChatConfig) -> ChatConfig:
        config = checked(config, self._settings.secrets)
        self._check_place(config)
        return config

    def _check_place(self, config: ChatConfig) -> None:
        if config.key and not self._settings.may_send(config.key, config.endpoint):
            raise ModelError(self._settings.why_not_sent(config.key))

    def _is_here(self, model: Model) -> bool:
        """Say whether a chat model is one of the endpoint that is configured."""
        return model.provider == CHAT and model.config.get("endpoint") == self.endpoint

    def _extractive(self, model: Model) -> Answerer:
        weights = ExtractiveWeights.from_config(model.config)
        return SyncAnswerer(ExtractiveAnswerer(weights, self._index.terms, self._index.idf))

    def _chat(self, model: Model) -> Answerer:
        config = ChatConfig.from_config(model.config)
        if "key" in model.config:
            return self._asked_at(config, model.template)
        if not self.endpoint:
            raise ModelError(
                f"{model.name} needs an endpoint: set OPENAI_BASE_URL and OPENAI_API_KEY, start the app again."
            )
        if not self._is_here(model):
            raise ModelError(
                f"{model.name} is a model of {config.endpoint}, and the app is set to {self.endpoint}: what answers "
                "there under the same name may be another model. Register it again on Settings, under another name."
            )
        key, address = _OF_ENVIRONMENT
        asked = self._asked_at(replace(config, key=key if self._settings.openai_api_key else ""), model.template)
        return replace(asked, key_name=key, address_name=address)

    def _asked_at(self, config: ChatConfig, template: str) -> ChatModel:
        self._check_place(config)
        key = self._settings.key(config.key) if config.key else ""
        if config.key and not key:
            raise ModelError(f"{config.key} is not set: put the key into that variable, and start the app again.")
        return ChatModel(
            base_url=config.base_url,
            api_key=key,
            model_id=config.model_id,
            template=self._store.templates.find(template),
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            timeout=self._settings.timeout,
            top_p=config.top_p,
            seed=config.seed,
            stop=config.stop or None,
            extra=config.extra,
            api_version=config.api_version,
            key_name=config.key,
            address_name="its address on Settings",
        )

    def _chat_words(self, model: Model) -> str:
        config = ChatConfig.from_config(model.config)
        numbers = {"temperature": config.temperature, "top p": config.top_p, "seed": config.seed}
        sampling = [f"{name} {value:g}" for name, value in numbers.items() if value is not None]
        sampling += [f"at most {config.max_tokens:,} tokens"] if config.max_tokens else []
        sampling += [f"stops at {json.dumps(text, ensure_ascii=False)}" for text in config.stop]
        sampling += [f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in config.extra.items()]
        return ", ".join([f"{config.model_id} at {config.endpoint}", *sampling])


def _checked_name(name: str) -> str:
    name = clean(name).strip()
    if not re.fullmatch(r"[\w .:/@+-]{1,80}", name):
        raise ModelError("Give the model a name of letters, digits, spaces and . : / @ + -, at most 80 of them.")
    return name


def _refuse_imported(model: Model) -> Answerer:
    raise ModelError(
        f"{model.name} came with imported votes: only its results are here, so it can answer nothing. Choose another model."
    )


def _trained(model: Model) -> dict[str, object]:
    """Return what the next round of a tuned model starts from, which stays however its endpoint is asked."""
    return {name: model.config[name] for name in ("weights", "adapter") if name in model.config}


def _refuse_unknown(model: Model) -> Answerer:
    raise ModelError(f"{model.name} is of a kind that this version of the app does not know: bring the app up to date.")
