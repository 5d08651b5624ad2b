"""Settings: the environment, read once at start into a frozen value. No other module reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from pipeline.addresses import is_at, is_loopback, public_url
from pipeline.database_url import checked, secrets_of
from pipeline.errors import SettingsError
from pipeline.space import space_defaults, space_name

# The names under which tools keep a token of the Hugging Face Hub: whatever is in them is sent to the Hub and nowhere else.
HUB_TOKENS = frozenset((
    "HF_TOKEN", "HF_API_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN",
    "HUGGINGFACE_API_KEY", "HUGGINGFACE_TOKEN",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its name, its default as text, and what it does."""

    name: str
    default: str
    help: str


SETTINGS = (
    Setting(
        "PAIRLOOP_HOME",
        "~/.pairloop",
        "Folder of the store and the index; made when it does not exist. On a Space: a temporary folder.",
    ),
    Setting(
        "PAIRLOOP_HOST",
        "127.0.0.1",
        "Address that the app listens on; 0.0.0.0, the default on a Space, makes it reachable from outside.",
    ),
    Setting(
        "DATABASE_URL",
        "",
        "Address of a PostgreSQL database that several replicas share, as postgresql://user:password@host/name, in the place "
        "of the SQLite file in PAIRLOOP_HOME; never stored, logged or shown. Needs the extra [postgres].",
    ),
    Setting("PAIRLOOP_PORT", "7860", "Port that the app listens on; 0 takes a free one."),
    Setting(
        "PAIRLOOP_EXAMPLE", "1", "1 puts the bundled example into an empty workspace at the first start, 0 does not."
    ),
    Setting("PAIRLOOP_MAX_UPLOAD_MB", "25", "Largest file that can be uploaded, in megabytes."),
    Setting("PAIRLOOP_TOP_K", "4", "How many contexts are retrieved for a query, 1 to 20."),
    Setting("PAIRLOOP_CONCURRENCY", "8", "How many queries of a run are answered at the same time, 1 to 64."),
    Setting("PAIRLOOP_TIMEOUT", "60", "Seconds that a model endpoint may stay silent before the request is given up."),
    Setting(
        "PAIRLOOP_DATASET_REPO",
        "",
        "Hugging Face dataset repo that keeps everything, as owner/name; made private when it does not exist. On a Space with "
        "HF_TOKEN: the name of the Space and -data.",
    ),
    Setting("HF_TOKEN", "", "Token that may write to that repo; never stored, logged or shown."),
    Setting("HF_ENDPOINT", "https://huggingface.co", "Address of the Hub."),
    Setting(
        "PAIRLOOP_DATA_DIR",
        "",
        "Folder that gets a journal of every change too, for example a persistent volume; the store itself never lives there.",
    ),
    Setting("PAIRLOOP_SYNC_SECONDS", "60", "Shortest time between two commits to the dataset repo, 1 to 3600 seconds."),
    Setting("PAIRLOOP_PUBLISH_MINUTES", "10", "Time between two refreshes of the published tables, 1 to 1440 minutes."),
    Setting(
        "PAIRLOOP_PUBLISH_NAMES",
        "0",
        "1 publishes annotators under their names, 0 under pseudonyms that stay the same.",
    ),
    Setting(
        "PAIRLOOP_LICENSE", "unknown", "License of the published tables, as the Hub writes it, for example cc-by-4.0."
    ),
    Setting(
        "PAIRLOOP_SQUASH_HISTORY",
        "0",
        "1 also squashes the repo's history when old journal files are folded, 0 keeps it.",
    ),
    Setting(
        "PAIRLOOP_RATE",
        "60",
        "How many costly actions one person may do within a minute, on the screens and over the API together: asking, adding "
        "files, exporting and the like, where what runs for long counts as 5. Where nobody signs in it is each browser, and all "
        "of them together ten times as many; 0 sets no limit.",
    ),
    Setting("PAIRLOOP_LOG", "text", "Form of the log on stderr: text, or json with one object in each line."),
    Setting(
        "PAIRLOOP_METRICS_TOKEN",
        "",
        "Token that /metrics asks for, of 16 characters or more; without one there is no /metrics.",
    ),
    Setting("OPENAI_BASE_URL", "", "Base URL of an OpenAI-compatible endpoint, for example http://localhost:11434/v1."),
    Setting("OPENAI_API_KEY", "", "Key of that endpoint; never stored, logged or shown."),
    Setting("OPENAI_MODEL", "", "Model id to ask for at that endpoint; setting it registers the model at start."),
    Setting(
        "PAIRLOOP_SIGN_IN",
        "",
        "Who gets in: open (whoever reaches the app is an owner), name (a name and a join code), accounts (user names and "
        "passwords), huggingface (accounts of the Hub). Without it: open where the app listens on this machine only, else "
        "accounts; on a Space huggingface, or name where it has no hf_oauth.",
    ),
    Setting(
        "PAIRLOOP_PUBLIC_URL",
        "",
        "Address under which people reach the app, for example https://feedback.acme.org, or https://acme.org/feedback where a "
        "proxy hands it on from a path; a Space knows its own.",
    ),
    Setting(
        "PAIRLOOP_OWNER_LINK",
        "0",
        "1 prints a link at the start with which one more owner gets in, for lost passwords.",
    ),
    Setting("OAUTH_CLIENT_ID", "", "OAuth app of the Hub that people sign in with; a Space with hf_oauth sets it."),
    Setting("OAUTH_CLIENT_SECRET", "", "Secret of that OAuth app; never stored, logged or shown."),
    Setting("OAUTH_SCOPES", "openid profile", "What that OAuth app asks for; needs at least openid and profile."),
    Setting("OPENID_PROVIDER_URL", "https://huggingface.co", "Address of the Hub that people sign in at."),
    Setting("SPACE_ID", "", "Set by a Space: its name as owner/name."),
    Setting("SPACE_HOST", "", "Set by a Space: the names under which it is reached."),
    Setting("SPACE_AUTHOR_NAME", "", "Set by a Space: the person or organisation of the Hub that it belongs to."),
    Setting("SPACE_CREATOR_USER_ID", "", "Set by a Space: the id of whoever made it, who becomes an owner."),
)
_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


class SignIn(StrEnum):
    """How people get in. In ``OPEN`` nobody signs in, and everybody is an owner."""

    OPEN = "open"
    NAME = "name"
    ACCOUNTS = "accounts"
    HUGGINGFACE = "huggingface"


@dataclass(frozen=True, slots=True)
class Entry:
    """What sign-in needs to know. Its secret is left out of ``repr``.

    ``base`` is the path that every address of the app begins with, "" or as in ``/feedback/w/support``; ``workspace`` is the word
    in it for a workspace beside the main one, "" for that.
    """

    mode: SignIn = SignIn.OPEN
    public_url: str = ""
    base: str = ""
    workspace: str = ""
    owner_link: bool = False
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    scopes: str = "openid profile"
    provider: str = "https://huggingface.co"
    space_id: str = ""
    space_hosts: tuple[str, ...] = ()
    space_author: str = ""
    space_creator: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process. Its secrets are left out of ``repr``.

    ``space`` is owner/name of the Space that the process runs on, or "". ``schema`` is the ending of the schema of the database
    that a workspace beside the main one has for itself.
    ``keys`` has every variable of the environment that models may name as the one with their key: those that end in _KEY or
    _TOKEN. ``addresses`` has the addresses that belong to some of them: of X_API_KEY it is that in X_BASE_URL or X_ENDPOINT.
    """

    home: Path
    database_url: str = ""
    schema: str = ""
    host: str = "127.0.0.1"
    port: int = 7860
    example: bool = True
    max_upload_mb: int = 25
    top_k: int = 4
    concurrency: int = 8
    timeout: float = 60.0
    dataset_repo: str = ""
    hf_token: str = ""
    hf_endpoint: str = "https://huggingface.co"
    data_dir: Path | None = None
    sync_seconds: float = 60.0
    publish_minutes: int = 10
    publish_names: bool = False
    license: str = "unknown"
    squash_history: bool = False
    rate: int = 60
    log: str = "text"
    metrics_token: str = ""
    space: str = ""
    openai_base_url: str = ""
    openai_api_key: str = ""
    openai_model: str = ""
    entry: Entry = Entry()
    keys: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    addresses: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __repr__(self) -> str:
        """Show what is no secret."""
        return f"Settings(home={self.home!s}, endpoint={self.openai_base_url!r}, model={self.openai_model!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never leave this process."""
        own = (self.openai_api_key, self.hf_token, self.metrics_token, self.entry.client_secret)
        return tuple(dict.fromkeys(filter(None, (*own, *secrets_of(self.database_url), *self.keys.values()))))

    def key(self, name: str) -> str:
        """Return the key in the variable of this name, or "" where it is not set."""
        own = {"OPENAI_API_KEY": self.openai_api_key, "HF_TOKEN": self.hf_token}
        return own.get(name) or self.keys.get(name, "")

    def places_of(self, name: str) -> tuple[str, ...]:
        """Return the addresses that the key in this variable belongs to; none where nobody said so.

        It is sent nowhere else, whatever somebody types on the screen or a workspace file says. ``*.`` stands for any name.
        """
        if name == "OPENAI_API_KEY":
            return (self.openai_base_url or "https://api.openai.com",)
        if name in HUB_TOKENS and name not in self.addresses:
            return ("https://*.huggingface.co", self.hf_endpoint)
        return (self.addresses[name],) if name in self.addresses else ()

    def may_send(self, name: str, endpoint: str) -> bool:
        """Say whether the key in this variable may be sent to an endpoint: one without a place only to this machine itself."""
        places = self.places_of(name)
        return any(is_at(endpoint, place) for place in places) if places else is_loopback(endpoint)

    def why_not_sent(self, name: str) -> str:
        """Say why the key in this variable is not sent to an endpoint that it does not belong to, and what to do."""
        places = self.places_of(name)
        if not places:
            return (
                f"Nobody said where {name} belongs, so it is sent to this machine only: set {_stem(name)}_BASE_URL to the "
                "address of its endpoint where the app is started, and start it again."
            )
        return (
            f"{name} belongs to {places[0].replace('*.', '')} and is sent nowhere else: put the key of this endpoint into a "
            "variable of its own, and name that."
        )


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Return the settings that ``environment`` (``os.environ``) asks for.

    Raises:
        SettingsError: a value cannot be used; the message names the variable and what it takes.
    """

    own = space_defaults(environment)

    def text(name: str) -> str:
        return environment.get(name, "").strip() or own.get(name) or _DEFAULTS[name]

    def whole(name: str, low: int, high: int) -> int:
        value = text(name)
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise SettingsError(f"{name} is {value!r}: it takes a whole number from {low} to {high}.")
        return int(value)

    def switch(name: str) -> bool:
        if text(name) not in ("0", "1"):
            raise SettingsError(f"{name} is {text(name)!r}: it takes 0 or 1.")
        return text(name) == "1"

    data_dir = text("PAIRLOOP_DATA_DIR")
    return Settings(
        home=Path(text("PAIRLOOP_HOME")).expanduser(),
        database_url=checked(text("DATABASE_URL")),
        host=text("PAIRLOOP_HOST"),
        port=whole("PAIRLOOP_PORT", 0, 65535),
        example=switch("PAIRLOOP_EXAMPLE"),
        max_upload_mb=whole("PAIRLOOP_MAX_UPLOAD_MB", 1, 2000),
        top_k=whole("PAIRLOOP_TOP_K", 1, 20),
        concurrency=whole("PAIRLOOP_CONCURRENCY", 1, 64),
        timeout=float(whole("PAIRLOOP_TIMEOUT", 1, 600)),
        dataset_repo=_repo(text("PAIRLOOP_DATASET_REPO"), text("HF_TOKEN")),
        hf_token=text("HF_TOKEN"),
        hf_endpoint=_address("HF_ENDPOINT", text("HF_ENDPOINT"), "HF_TOKEN").rstrip("/"),
        data_dir=Path(data_dir).expanduser() if data_dir else None,
        sync_seconds=float(whole("PAIRLOOP_SYNC_SECONDS", 1, 3600)),
        publish_minutes=whole("PAIRLOOP_PUBLISH_MINUTES", 1, 1440),
        publish_names=switch("PAIRLOOP_PUBLISH_NAMES"),
        license=text("PAIRLOOP_LICENSE"),
        squash_history=switch("PAIRLOOP_SQUASH_HISTORY"),
        rate=whole("PAIRLOOP_RATE", 0, 100_000),
        log=_log(text("PAIRLOOP_LOG")),
        metrics_token=_token(text("PAIRLOOP_METRICS_TOKEN")),
        space=space_name(environment),
        openai_base_url=_address("OPENAI_BASE_URL", text("OPENAI_BASE_URL"), "OPENAI_API_KEY"),
        openai_api_key=text("OPENAI_API_KEY"),
        openai_model=text("OPENAI_MODEL"),
        entry=_entry(text, switch("PAIRLOOP_OWNER_LINK")),
        keys=MappingProxyType(_keys(environment)),
        addresses=MappingProxyType(_addresses(environment)),
    )


def _entry(text: Callable[[str], str], owner_link: bool) -> Entry:
    space, client, secret = text("SPACE_ID"), text("OAUTH_CLIENT_ID"), text("OAUTH_CLIENT_SECRET")
    wanted = text("PAIRLOOP_SIGN_IN") or _usual_sign_in(text)
    if wanted not in list(SignIn):
        raise SettingsError(f"PAIRLOOP_SIGN_IN is {wanted!r}: it takes {', '.join(SignIn)}.")
    hosts = tuple(filter(None, (host.strip().lower() for host in text("SPACE_HOST").split(","))))
    if not all(re.fullmatch(r"[a-z0-9.-]+(:\d+)?", host) for host in hosts):
        raise SettingsError("SPACE_HOST takes names of hosts, apart by commas, for example acme-pairloop.hf.space.")
    address = _address("PAIRLOOP_PUBLIC_URL", text("PAIRLOOP_PUBLIC_URL"), "no setting")
    url, base = public_url("PAIRLOOP_PUBLIC_URL", address)
    found = Entry(
        mode=SignIn(wanted),
        public_url=url,
        base=base,
        owner_link=owner_link,
        client_id=client,
        client_secret=secret,
        scopes=text("OAUTH_SCOPES"),
        provider=_origin("OPENID_PROVIDER_URL", text("OPENID_PROVIDER_URL")),
        space_id=space,
        space_hosts=hosts,
        space_author=text("SPACE_AUTHOR_NAME"),
        space_creator=text("SPACE_CREATOR_USER_ID"),
    )
    if found.mode is SignIn.HUGGINGFACE:
        _check_hub(found)
    return found


def _usual_sign_in(text: Callable[[str], str]) -> SignIn:
    """Return how people get in where nobody says it: without sign-in only where nobody from outside comes."""
    if text("SPACE_ID"):
        return SignIn.HUGGINGFACE if text("OAUTH_CLIENT_ID") else SignIn.NAME
    host = text("PAIRLOOP_HOST")
    return SignIn.OPEN if is_loopback(f"http://[{host}]" if ":" in host else f"http://{host}") else SignIn.ACCOUNTS


def _check_hub(entry: Entry) -> None:
    if not entry.client_id or not entry.client_secret:
        raise SettingsError(
            "PAIRLOOP_SIGN_IN is huggingface, which needs OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET. On a Space write "
            "hf_oauth: true into its README; elsewhere make an OAuth app at https://huggingface.co/settings/applications."
        )
    if not {"openid", "profile"} <= set(entry.scopes.split()):
        raise SettingsError("OAUTH_SCOPES needs openid and profile: without them nobody's name is known.")
    if not entry.provider.startswith("https://") and not is_loopback(entry.provider):
        raise SettingsError("OPENID_PROVIDER_URL must begin with https://: people sign in there.")


def _origin(name: str, value: str) -> str:
    """Return an address of scheme and host alone."""
    parts = urlsplit(_address(name, value, "no setting").rstrip("/"))
    if value and (not parts.hostname or parts.path or parts.query or parts.fragment):
        raise SettingsError(f"{name} is {value!r}: it takes an address without a path, for example https://acme.org.")
    return f"{parts.scheme}://{parts.netloc}" if value else ""


def _keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what could be a key, by name: one line without blanks. Files of certificates and the like are left alone."""
    named = {name: value for name, value in environment.items() if name.endswith(("_KEY", "_TOKEN"))}
    # What opens doors of this app is no key of a model.
    found = {name: value.strip() for name, value in named.items() if not name.startswith("PAIRLOOP_")}
    return {name: value for name, value in found.items() if re.fullmatch(r"[!-~]+", value)}


def _addresses(environment: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name in _keys(environment):
        addresses = (environment.get(f"{_stem(name)}{ending}", "").strip() for ending in ("_BASE_URL", "_ENDPOINT"))
        found[name] = next(filter(None, addresses), "")
    return {name: address for name, address in found.items() if address}


def _stem(name: str) -> str:
    return re.sub(r"(_API)?_(KEY|TOKEN)$", "", name)


def _address(name: str, value: str, key: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise SettingsError(f"{name} is {value!r}: it must begin with http:// or https://.")
    if "@" in urlsplit(value).netloc:
        raise SettingsError(f"{name} holds a user name or a password: put the key into {key} instead.")
    return value


def _log(value: str) -> str:
    if value not in ("text", "json"):
        raise SettingsError(f"PAIRLOOP_LOG is {value!r}: it takes text or json.")
    return value


def _token(value: str) -> str:
    if value and not re.fullmatch(r"[!-~]{16,}", value):
        raise SettingsError("PAIRLOOP_METRICS_TOKEN takes 16 characters or more, without blanks.")
    return value


def _repo(value: str, token: str) -> str:
    if value and not re.fullmatch(r"[\w.-]+/[\w.-]+", value, re.ASCII):
        raise SettingsError(
            f"PAIRLOOP_DATASET_REPO is {value!r}: it takes owner/name, for example acme/support-feedback."
        )
    if value and not token:
        raise SettingsError("PAIRLOOP_DATASET_REPO needs HF_TOKEN: a token that may write to the repo.")
    return value
