"""The models of a workspace: which there are, and what answers for each of them."""

from __future__ import annotations

import json
import re
import threading

from pipeline.cleaning import clean
from pipeline.errors import ModelError
from pipeline.models import Answerer, SyncAnswerer
from pipeline.models.extractive import ExtractiveAnswerer, ExtractiveWeights, base
from pipeline.models.judges import ChatJudge, Judge, LexicalJudge
from pipeline.models.openai_chat import ChatModel
from pipeline.naming import free_name
from pipeline.prompts import get_template
from pipeline.records import IMPORTED, Model, id_of
from pipeline.retrieval import LexicalIndex
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.rows import now

BASE_NAME = "extractive-base"


class Registry:
    """Registered models and their answerers. A chat model keeps its endpoint; the key is the settings' word."""

    def __init__(self, store: Store, index: LexicalIndex, settings: Settings) -> None:
        self._store = store
        self._index = index
        self._settings = settings
        self._answerers: dict[str, Answerer] = {}
        self._lock = threading.Lock()

    def ensure_defaults(self) -> None:
        """Register the embedded answerer, and the endpoint of the settings, where they are missing."""
        models = self.all()
        if BASE_NAME not in {model.name for model in models}:
            self._add(BASE_NAME, "extractive", base().to_config(), "answer-review")
        known = {model.config.get("model_id") for model in models if self._is_here(model)}
        wanted = self._settings.openai_model
        if self.endpoint and wanted and wanted not in known:
            # Whatever the endpoint calls it and whoever has that name already: the app must start.
            self._add(
                free_name(wanted, {model.name for model in self.all()}, "{name} {n}"),
                "openai",
                self._chat_config(wanted, None),
                "answer-review",
            )

    def all(self) -> list[Model]:
        """Return all models, oldest first."""
        return self._store.models.all()

    def answering(self) -> list[Model]:
        """Return the models that can answer, oldest first: all but those that came with imported votes."""
        return [model for model in self.all() if model.provider != IMPORTED]

    @property
    def endpoint(self) -> str:
        """The endpoint of chat models, or "" where none is configured."""
        if self._settings.openai_base_url:
            return self._settings.openai_base_url.rstrip("/")
        return "https://api.openai.com/v1" if self._settings.openai_api_key else ""

    def add_chat_model(self, name: str, model_id: str, template: str, temperature: float | None) -> Model:
        """Register a model of the configured endpoint under a prompt template.

        Raises:
            ModelError: no endpoint is configured, or the name or the temperature cannot be used.
        """
        name, model_id = clean(name).strip(), clean(model_id).strip()
        if not self.endpoint:
            raise ModelError(
                "No endpoint is configured: set OPENAI_BASE_URL or OPENAI_API_KEY and start the app again."
            )
        if not re.fullmatch(r"[\w .:/@+-]{1,80}", name) or not model_id:
            raise ModelError(
                "Give the model a name (letters, digits, spaces and . : / @ + -) and the endpoint's model id."
            )
        if name in {model.name for model in self.all()}:
            raise ModelError(f"There is a model named {name} already. Models never change: choose another name.")
        if temperature is not None and not 0 <= temperature <= 2:
            raise ModelError("A temperature is a number from 0 to 2.")
        get_template(template)
        return self._add(name, "openai", self._chat_config(model_id, temperature), template)

    def answerer(self, model_id: str) -> Answerer:
        """Return what answers for a model; one object per model, so that its connections are reused."""
        with self._lock:
            if model_id not in self._answerers:
                self._answerers[model_id] = self._make(self._store.models.get(model_id))
            return self._answerers[model_id]

    def judge(self, model_id: str) -> Judge:
        """Return what judges for a model: a chat model is asked, an embedded one counts words.

        Raises:
            ModelError: its endpoint is not configured.
            NotFoundError: there is no such model.
        """
        answerer = self.answerer(model_id)
        if isinstance(answerer, ChatModel):
            return ChatJudge(answerer)
        return LexicalJudge(self._index.terms, self._index.idf)

    def _chat_config(self, model_id: str, temperature: float | None) -> dict[str, object]:
        return {"model_id": model_id, "temperature": temperature, "endpoint": self.endpoint}

    def _is_here(self, model: Model) -> bool:
        """Say whether a chat model is one of the endpoint that is configured."""
        return model.provider == "openai" and model.config["endpoint"] == self.endpoint

    def _add(self, name: str, provider: str, config: dict[str, object], template: str) -> Model:
        # Replicas that register the same model have one model when they meet.
        model_id = id_of("model", name, provider, json.dumps(config, sort_keys=True), template)
        model = Model(model_id, name, provider, config, template, created_at=now())
        self._store.models.add(model)
        return model

    def _make(self, model: Model) -> Answerer:
        if model.provider == "extractive":
            weights = ExtractiveWeights.from_config(model.config)
            return SyncAnswerer(ExtractiveAnswerer(weights, self._index.terms, self._index.idf))
        if model.provider == IMPORTED:
            raise ModelError(
                f"{model.name} came with imported votes: only its results are here, so it can answer nothing. "
                "Choose another model."
            )
        if not self.endpoint:
            raise ModelError(
                f"{model.name} needs an endpoint: set OPENAI_BASE_URL and OPENAI_API_KEY, start the app again."
            )
        if not self._is_here(model):
            raise ModelError(
                f"{model.name} is a model of {model.config['endpoint']}, and the app is set to {self.endpoint}: what answers "
                "there under the same name may be another model. Register it again on Settings, under another name."
            )
        return ChatModel(
            base_url=self.endpoint,
            api_key=self._settings.openai_api_key,
            model_id=str(model.config["model_id"]),
            template=get_template(model.template),
            temperature=model.config.get("temperature"),
            timeout=self._settings.timeout,
        )
