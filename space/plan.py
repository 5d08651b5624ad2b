"""What publishing a Space takes: from what is wanted and what is there already, the steps between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha1, sha256

from pipeline.errors import SettingsError

TAG = "pairloop"
TOKEN = "HF_TOKEN"
REPO = "PAIRLOOP_DATASET_REPO"
NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
# Files that the Hub itself puts into a new repo.
OF_HUB = (".gitattributes",)
# What a name or a value of a variable must not look like: everybody may read variables.
_SECRET_NAME = re.compile(
    r"PASSW|PASSPHRASE|SECRET|CREDENTIAL|TOKEN|KEY|(?:^|_)(?:PWD|DSN|DATABASE_UR[LI])(?:_|$)", re.I
)
_SIGNED_ADDRESS = re.compile(r"://[^/?#\s]*:[^/?#\s]*@")
_SECRET_VALUE = re.compile(r"(?<![A-Za-z0-9])(?:(?:hf_|sk-|ghp_|github_pat_)[A-Za-z0-9_-]{5,}|pl_[A-Za-z0-9_-]{43})")
# What is shorter is a word such as "on", which tells nothing.
_LEAST = 6


@dataclass(frozen=True, slots=True)
class Wanted:
    """The Space that somebody wants. ``secrets`` maps names to variables of this environment that hold the values."""

    name: str
    sdk: str = "gradio"
    visibility: str = ""
    hardware: str = ""
    dataset_repo: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    replace: bool = False

    @property
    def data(self) -> str:
        """The dataset repo that keeps everything: the one that the app itself takes where nobody says another."""
        return self.dataset_repo or f"{self.name}-data"


@dataclass(frozen=True, slots=True)
class File:
    """What is known of a file that is there: its id in git, or the hash of its content where it is a large one."""

    blob: str
    sha256: str = ""

    def holds(self, content: bytes) -> bool:
        """Say whether it has this content."""
        if self.sha256:
            return sha256(content).hexdigest() == self.sha256
        return sha1(b"blob %d\0%s" % (len(content), content)).hexdigest() == self.blob


@dataclass(frozen=True, slots=True)
class Found:
    """What is there already. ``head`` is "" where there is no such Space; ``data`` None where there is no such dataset repo."""

    head: str = ""
    ours: bool = False
    files: Mapping[str, File] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    variables: Mapping[str, str] = field(default_factory=dict)
    hardware: str = ""
    data: str | None = None


@dataclass(frozen=True, slots=True)
class Steps:
    """What has to be done; what is empty has not."""

    make_data: bool
    make_space: bool
    visibility: str
    hardware: str
    secrets: tuple[str, ...]
    variables: Mapping[str, str]
    add: tuple[str, ...]
    change: tuple[str, ...]
    delete: tuple[str, ...]

    @property
    def commits(self) -> bool:
        """Whether there is something to commit."""
        return bool(self.add or self.change or self.delete)


def check(wanted: Wanted, environment: Mapping[str, str] | None = None) -> None:
    """Look at what is wanted before the Hub is asked; ``environment`` is what no secret of may be a variable.

    Raises:
        SettingsError: it cannot be; the message says why.
    """
    for what, name in (("The Space", wanted.name), ("--dataset-repo", wanted.data)):
        if not NAME.fullmatch(name):
            raise SettingsError(f"{what} is {name!r}: it takes owner/name, for example acme/pairloop.")
    for name in (*wanted.secrets, *wanted.variables):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise SettingsError(f"{name!r} is no name of an environment variable.")
    for name, value in wanted.variables.items():
        if why := _secret(name, value, wanted, environment or {}):
            raise SettingsError(f"Variables are public, and {why}: use --secret {name}.")
        if name == REPO:
            raise SettingsError(
                f"{REPO} as a variable would be copied whenever somebody duplicates the Space: use --dataset-repo, which makes a "
                "secret of it."
            )
    if wanted.hardware.startswith("zero") and wanted.sdk != "gradio":
        raise SettingsError("ZeroGPU takes Gradio Spaces only: leave --sdk docker out.")


def _secret(name: str, value: str, wanted: Wanted, environment: Mapping[str, str]) -> str:
    """Return why a variable looks like a secret, without its value; "" where it does not."""
    if _SECRET_NAME.search(name):
        return f"{name} looks like a secret"
    if _SIGNED_ADDRESS.search(value):
        return f"the value of {name} is an address with a password in it"
    if _SECRET_VALUE.search(value):
        return f"the value of {name} looks like a token or a key"
    for other, held in environment.items():
        hidden = _SECRET_NAME.search(other) or other in wanted.secrets.values()
        if hidden and len(held.strip()) >= _LEAST and held.strip() in value:
            return f"the value of {name} is that of {other}, a secret of this environment"
    return ""


def steps(wanted: Wanted, files: Mapping[str, bytes], found: Found) -> Steps:
    """Return what leads from what is there to what is wanted.

    Raises:
        SettingsError: something is there that must not be overwritten or written to.
    """
    strange = sorted(set(found.files) - set(OF_HUB) - {"README.md"})
    if found.head and not found.ours and strange and not wanted.replace:
        raise SettingsError(
            f"The Space {wanted.name} is there and is no Pairloop (it has {strange[0]}, for instance): take another name, or say "
            "--replace to put Pairloop in its place."
        )
    # Where a secret names another dataset repo, which one it is cannot be read.
    elsewhere = REPO in found.secrets and not wanted.dataset_repo
    if found.data == "public" and not elsewhere:
        raise SettingsError(
            f"The dataset repo {wanted.data} is public: everybody could read people's names and answers. Make it private, or "
            "name another with --dataset-repo."
        )
    new = not found.head
    # Values of secrets cannot be read back: what was asked for by name is set anew, the token only where it is missing or
    # comes from another variable.
    secrets = [name for name, source in wanted.secrets.items() if name != TOKEN or source != TOKEN or new]
    if TOKEN in wanted.secrets and TOKEN not in found.secrets and TOKEN not in secrets:
        secrets.append(TOKEN)
    if wanted.dataset_repo:
        secrets.append(REPO)
    different = [name for name in files if name in found.files and not found.files[name].holds(files[name])]
    return Steps(
        make_data=found.data is None and not elsewhere,
        make_space=new,
        visibility=wanted.visibility or ("private" if new else ""),
        hardware=wanted.hardware if new or wanted.hardware != found.hardware else "",
        secrets=tuple(sorted(secrets)),
        variables={name: value for name, value in wanted.variables.items() if found.variables.get(name) != value},
        add=tuple(sorted(set(files) - set(found.files))),
        change=tuple(sorted(different)),
        delete=tuple(sorted(set(found.files) - set(files) - set(OF_HUB))),
    )


def told(wanted: Wanted, files: Mapping[str, bytes], plan: Steps, sizes: bool = False) -> list[str]:
    """Return the steps in words, one a line. Of secrets only names are told; ``sizes`` also lists the files."""
    size = sum(len(files[name]) for name in (*plan.add, *plan.change))
    lines = []
    if plan.make_data:
        lines.append(f"Make the private dataset repo {wanted.data}")
    if plan.make_space:
        hardware = plan.hardware or "the Hub's default hardware (cpu-basic)"
        lines.append(f"Make the {plan.visibility} {wanted.sdk.capitalize()} Space {wanted.name} on {hardware}")
    elif plan.visibility:
        lines.append(f"Make the Space {wanted.name} {plan.visibility}")
    lines += [f"Set the secret {name}" + _source(wanted, name) for name in plan.secrets]
    lines += [f"Set the variable {name} to {value}" for name, value in plan.variables.items()]
    if plan.hardware and not plan.make_space:
        lines.append(f"Ask for the hardware {plan.hardware}")
    if plan.commits:
        parts = (("new", plan.add), ("changed", plan.change), ("deleted", plan.delete))
        counts = ", ".join(f"{len(names)} {word}" for word, names in parts if names)
        lines.append(f"Commit at once: {counts} ({size / 1000:,.0f} kB)")
    if sizes:
        for word, names in (("new", plan.add), ("changed", plan.change)):
            lines += [f"  {word:8} {len(files[name]):>9,} B  {name}" for name in names]
        lines += [f"  {'deleted':8} {'':>9}    {name}" for name in plan.delete]
    return lines


def _source(wanted: Wanted, name: str) -> str:
    if name == REPO:
        return f" to {wanted.dataset_repo}"
    source = wanted.secrets[name]
    return f" from {source} of this environment" if source != name else " from this environment"
