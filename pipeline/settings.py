"""Settings: the environment, read once at start into a frozen value. No other module reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its name, its default as text, and what it does."""

    name: str
    default: str
    help: str


SETTINGS = (
    Setting("PAIRLOOP_HOME", "~/.pairloop", "Folder of the store and the index; made when it does not exist."),
    Setting("PAIRLOOP_HOST", "127.0.0.1", "Address that the app listens on; 0.0.0.0 makes it reachable from outside."),
    Setting("PAIRLOOP_PORT", "7860", "Port that the app listens on; 0 takes a free one."),
    Setting(
        "PAIRLOOP_EXAMPLE", "1", "1 puts the bundled example into an empty workspace at the first start, 0 does not."
    ),
    Setting("PAIRLOOP_MAX_UPLOAD_MB", "25", "Largest file that can be uploaded, in megabytes."),
    Setting("PAIRLOOP_TOP_K", "4", "How many contexts are retrieved for a query, 1 to 20."),
    Setting("PAIRLOOP_CONCURRENCY", "8", "How many queries of a run are answered at the same time, 1 to 64."),
    Setting("PAIRLOOP_TIMEOUT", "60", "Seconds that a model endpoint may stay silent before the request is given up."),
    Setting("OPENAI_BASE_URL", "", "Base URL of an OpenAI-compatible endpoint, for example http://localhost:11434/v1."),
    Setting("OPENAI_API_KEY", "", "Key of that endpoint; never stored, logged or shown."),
    Setting("OPENAI_MODEL", "", "Model id to ask for at that endpoint; setting it registers the model at start."),
)
_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process. ``openai_api_key`` is left out of ``repr`` by :meth:`__repr__`."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 7860
    example: bool = True
    max_upload_mb: int = 25
    top_k: int = 4
    concurrency: int = 8
    timeout: float = 60.0
    openai_base_url: str = ""
    openai_api_key: str = ""
    openai_model: str = ""

    def __repr__(self) -> str:
        """Show everything but the key."""
        return f"Settings(home={self.home!s}, endpoint={self.openai_base_url!r}, model={self.openai_model!r})"


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Return the settings that ``environment`` (``os.environ``) asks for.

    Raises:
        SettingsError: a value cannot be used; the message names the variable and what it takes.
    """

    def text(name: str) -> str:
        return environment.get(name, "").strip() or _DEFAULTS[name]

    def whole(name: str, low: int, high: int) -> int:
        value = text(name)
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise SettingsError(f"{name} is {value!r}: it takes a whole number from {low} to {high}.")
        return int(value)

    if text("PAIRLOOP_EXAMPLE") not in ("0", "1"):
        raise SettingsError(f"PAIRLOOP_EXAMPLE is {text('PAIRLOOP_EXAMPLE')!r}: it takes 0 or 1.")
    base_url = text("OPENAI_BASE_URL")
    if base_url and not base_url.startswith(("http://", "https://")):
        raise SettingsError(f"OPENAI_BASE_URL is {base_url!r}: it must begin with http:// or https://.")
    if "@" in urlsplit(base_url).netloc:
        raise SettingsError("OPENAI_BASE_URL holds a user name or a password: put the key into OPENAI_API_KEY instead.")
    return Settings(
        home=Path(text("PAIRLOOP_HOME")).expanduser(),
        host=text("PAIRLOOP_HOST"),
        port=whole("PAIRLOOP_PORT", 0, 65535),
        example=text("PAIRLOOP_EXAMPLE") == "1",
        max_upload_mb=whole("PAIRLOOP_MAX_UPLOAD_MB", 1, 2000),
        top_k=whole("PAIRLOOP_TOP_K", 1, 20),
        concurrency=whole("PAIRLOOP_CONCURRENCY", 1, 64),
        timeout=float(whole("PAIRLOOP_TIMEOUT", 1, 600)),
        openai_base_url=base_url,
        openai_api_key=text("OPENAI_API_KEY"),
        openai_model=text("OPENAI_MODEL"),
    )
