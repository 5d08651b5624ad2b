"""What is registered of a chat model: where it is asked and how. Nothing of it is a secret: of a key only the name is here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from urllib.parse import urlsplit

from pipeline.cleaning import clean
from pipeline.errors import ModelError

OTHER = "other"
MOST_TOKENS, MOST_STOPS, LONGEST_EXTRA = 1_000_000, 4, 4_000
# What a request has from other fields, or that would change how its answer is read.
_OWN = ("model", "messages", "stream", "stream_options", "n", "tools", "functions")
_OWN_FIELDS = ("temperature", "top_p", "max_tokens", "seed", "stop")
_SECRET_NAME = re.compile(
    r"(api|access|secret|private|auth)[-_ ]?(key|token)|authorization|password|secret|credential", re.I
)
_LOOKS_LIKE_KEY = re.compile(r"(^|[/=_.-])(sk|pk|rk|hf|gsk|xai)[-_][A-Za-z0-9_-]{8,}")
KEY_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*_(KEY|TOKEN)")


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known beforehand of a kind of endpoint: what its form begins with, and what to put where.

    ``endpoint`` is its address, or one to change where ``help`` says so; ``key`` the usual name of the key's variable.
    """

    name: str
    title: str
    endpoint: str
    key: str
    help: str


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "openai", "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY",
            "Prices are on OpenAI's page of the model. Reasoning models take no temperature; their effort goes into the "
            'further parameters, as {"reasoning_effort": "low"}.',
        ),
        Preset(
            "hf", "Hugging Face router", "https://router.huggingface.co/v1", "HF_TOKEN",
            "The model id is that of the Hub, for example openai/gpt-oss-20b. A colon and a provider's name behind it choose "
            "who runs it. The token needs the right to call Inference Providers.",
        ),
        Preset(
            "azure", "Azure OpenAI", "https://YOUR-RESOURCE.openai.azure.com", "AZURE_OPENAI_API_KEY",
            "The model id is the name of your deployment. Without an API version it is asked at /openai/v1, Azure's newer "
            "interface; with one, for example 2024-10-21, at its deployment.",
        ),
        Preset(
            "vllm", "vLLM or TGI", "http://localhost:8000/v1", "",
            "Start it with vllm serve MODEL, or TGI's container, which listens on the port you give it. It asks for a key "
            "only where it was started with one.",
        ),
        Preset(
            "ollama", "Ollama", "http://localhost:11434/v1", "",
            "The model id is the name that ollama list shows. Ollama reads 4,096 tokens unless told otherwise: raise "
            "OLLAMA_CONTEXT_LENGTH there for long contexts.",
        ),
        Preset(
            "llamacpp", "llama.cpp", "http://localhost:8080/v1", "",
            "Start it with llama-server -m MODEL.gguf. It serves one model, whatever the model id says.",
        ),
        Preset(
            OTHER, "Another endpoint", "", "",
            "Any address that speaks OpenAI's chat completions; it usually ends in /v1.",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChatConfig:
    """How one model of one endpoint is asked. ``key`` is the name of the environment variable with its key, "" without one.

    Prices are US dollars per million tokens. What is None or empty is not sent, and the endpoint's own holds.
    """

    endpoint: str
    model_id: str
    key: str = ""
    preset: str = OTHER
    api_version: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    input_price: float | None = None
    output_price: float | None = None

    @property
    def base_url(self) -> str:
        """The address that requests go to: for Azure the endpoint with what its interface adds."""
        if self.preset == "azure" and not self.api_version:
            return f"{self.endpoint}/openai/v1"
        return self.endpoint

    def to_config(self) -> dict[str, object]:
        """Return what is stored of it: JSON values, without what is not set; the key's name always, "" among them."""
        values = {**asdict(self), "stop": list(self.stop), "extra": dict(self.extra)}
        unset = (None, "", [], {})
        return {name: value for name, value in values.items() if name == "key" or value not in unset}

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> ChatConfig:
        """Return what :meth:`to_config` wrote; names of a newer version are passed over.

        Raises:
            ModelError: it names no endpoint or no model.
        """
        known = {item.name: config[item.name] for item in fields(cls) if config.get(item.name) is not None}
        unread = ModelError("What is stored of this model cannot be read. Register it again on Settings.")
        texts = [known.get(name, "") for name in ("endpoint", "model_id", "key", "preset", "api_version")]
        if not {"endpoint", "model_id"} <= known.keys() or not all(isinstance(text, str) for text in texts):
            raise unread
        try:
            read = cls(**{**known, "stop": tuple(known.get("stop", ())), "extra": dict(known.get("extra", {}))})
            _check_sampling(read)
        except (TypeError, ValueError, ModelError) as error:
            raise unread from error
        return read


def checked(config: ChatConfig, secrets: Sequence[str] = ()) -> ChatConfig:
    """Return a configuration that somebody typed, tidied; ``secrets`` are values that must not be in it.

    Raises:
        ModelError: it cannot be used; the message says what to change.
    """
    if config.preset not in PRESETS:
        raise ModelError("Choose what kind of endpoint it is.")
    endpoint, model_id, version = (
        clean(text).strip() for text in (config.endpoint, config.model_id, config.api_version)
    )
    endpoint = _endpoint(endpoint, config.preset)
    if not model_id or len(model_id) > 200:
        raise ModelError("Give the endpoint's model id, in at most 200 characters.")
    if version and (config.preset != "azure" or not re.fullmatch(r"[\w.-]{1,40}", version)):
        raise ModelError("An API version is Azure's only, and reads like 2024-10-21 or 2025-01-01-preview.")
    key = clean(config.key).strip()
    if key and not KEY_NAME.fullmatch(key):
        # A key that was typed here by mistake is not repeated in the message.
        raise ModelError(
            "The key's variable is the name of an environment variable that ends in _KEY or _TOKEN, for example "
            "OPENAI_API_KEY. Never put the key itself here."
        )
    _check_sampling(config)
    _check_extra(config.extra)
    tidy = ChatConfig(
        **{**_values(config), "endpoint": endpoint, "model_id": model_id, "key": key, "api_version": version}
    )
    _check_no_secret(json.dumps(tidy.to_config(), ensure_ascii=False), secrets)
    return tidy


def read_extra(text: str) -> dict[str, object]:
    """Return further parameters that were typed as JSON; nothing typed is none.

    Raises:
        ModelError: it is no JSON object.
    """
    text = clean(text or "").strip()
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise ModelError(f"The further parameters are no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise ModelError('The further parameters are a JSON object, for example {"reasoning_effort": "low"}.')
    return found


def _values(config: ChatConfig) -> dict[str, object]:
    return {item.name: getattr(config, item.name) for item in fields(config)}


def _endpoint(endpoint: str, preset: str) -> str:
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ModelError("The endpoint is no address: check it, for example http://localhost:8000/v1.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ModelError(
            "The endpoint begins with http:// or https:// and a host, for example http://localhost:8000/v1."
        )
    if "@" in parts.netloc or parts.query or parts.fragment or _LOOKS_LIKE_KEY.search(parts.path):
        raise ModelError(
            "The endpoint is an address only: take user name, password, key and all after a ? out of it. A key goes into an "
            "environment variable, and the name of that into the field for it."
        )
    if "YOUR-RESOURCE" in endpoint:
        raise ModelError("Put the name of your Azure resource in place of YOUR-RESOURCE.")
    if re.search(r"\s", endpoint):
        raise ModelError("There is a blank in the endpoint's address: take it out.")
    endpoint = endpoint.rstrip("/")
    endpoint = endpoint.removesuffix("/chat/completions")
    if preset == "azure":
        endpoint = re.sub(r"/openai(/v1)?$", "", endpoint)
    return endpoint


def _check_sampling(config: ChatConfig) -> None:
    for value, low, high, said in (
        (config.temperature, 0, 2, "A temperature is a number from 0 to 2."),
        (config.top_p, 0, 1, "Top p is a number from 0 to 1."),
        (config.input_price, 0, 100_000, "A price is a number of US dollars per million tokens, from 0 to 100,000."),
        (config.output_price, 0, 100_000, "A price is a number of US dollars per million tokens, from 0 to 100,000."),
    ):
        if value is not None and not (_is_number(value) and low <= value <= high):
            raise ModelError(said)
    if (config.input_price is None) != (config.output_price is None):
        raise ModelError("Give both prices or none: what a model reads and what it writes are both paid for.")
    for value, low, high, said in (
        (
            config.max_tokens,
            1,
            MOST_TOKENS,
            f"The most tokens of an answer are a whole number from 1 to {MOST_TOKENS:,}.",
        ),
        (config.seed, -(2**63), 2**63 - 1, "A seed is a whole number."),
    ):
        if value is not None and not (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high):
            raise ModelError(said)
    if len(config.stop) > MOST_STOPS or not all(0 < len(text) <= 100 for text in config.stop):
        raise ModelError(f"There are at most {MOST_STOPS} texts to stop at, each of 1 to 100 characters.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_extra(extra: Mapping[str, object]) -> None:
    if len(json.dumps(extra)) > LONGEST_EXTRA:
        raise ModelError(f"The further parameters have at most {LONGEST_EXTRA:,} characters.")
    for name in extra:
        if name in _OWN_FIELDS:
            raise ModelError(f"{name} has a field of its own: take it out of the further parameters.")
        if name in _OWN:
            raise ModelError(f"{name} is set by the app: take it out of the further parameters.")
    named = next((name for name in _names(extra) if _SECRET_NAME.search(name)), None)
    if named is not None:
        raise ModelError(f"{named} looks like a secret, and these parameters are stored and shown: take it out.")


def _names(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [name for key, inner in value.items() for name in (str(key), *_names(inner))]
    return [name for inner in value for name in _names(inner)] if isinstance(value, list) else []


def _check_no_secret(text: str, secrets: Sequence[str]) -> None:
    if any(secret in text or json.dumps(secret)[1:-1] in text for secret in secrets if len(secret) >= 8):
        raise ModelError(
            "A key of the environment stands in one of the fields: take it out. Only its name belongs here."
        )
