"""Publishes Pairloop as a Hugging Face Space, or updates it: ``python -m space.publish owner/name [--dry-run]``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence

from pipeline.errors import HubError, PipelineError, SettingsError
from space.files import OF_SDK, space_files
from space.hub import SpaceRepo
from space.plan import TOKEN, Found, Steps, Wanted, check, steps, told

EPILOG = """
The token that the Hub is asked with is HF_TOKEN of this environment. The app gets the same, unless --app-token names another
variable: better one that may write to the dataset repo alone. Values of secrets are never printed. The command can be run
again at any time: it changes only what is different, and without differences it commits nothing.
"""


def main(arguments: Sequence[str], environment: Mapping[str, str], say: Callable[[str], None] = print) -> int:
    """Publish; return the exit status."""
    given = _parser().parse_args(arguments)
    wanted = _wanted(given)
    try:
        check(wanted, environment)
        files = space_files(wanted.sdk)
        if given.dry_run:
            _rehearse(wanted, files, environment, say)
        else:
            _publish(wanted, files, environment, say)
    except PipelineError as error:
        print(f"Not published. {error}", file=sys.stderr)
        return 1
    return 0


def _publish(wanted: Wanted, files: Mapping[str, bytes], environment: Mapping[str, str], say) -> None:
    secrets = _secrets(wanted, environment)
    repo = _repo(wanted, environment, secrets)
    found = repo.found()
    plan = steps(wanted, files, found)
    for line in told(wanted, files, plan):
        say(f"{line}.")
    if plan.make_data:
        repo.make_data()
    try:
        if plan.make_space:
            repo.make_space(plan)
        else:
            repo.set_up(plan)
        if plan.commits:
            # A Space that was made just now has a first commit, and of files only those of the Hub's.
            commit = repo.commit(plan, files, found.head)
            say(f"Commit {commit[:7]}.")
    except HubError as error:
        raise HubError(f"{error} What was done before that stays: run the same command again.", error.status) from error
    if plan == _nothing(plan):
        say("Everything is there already: nothing was changed.")
    owner, _, name = wanted.name.partition("/")
    say(f"{_endpoint(environment)}/spaces/{wanted.name}")
    if plan.commits:
        say(f"It is built now, which takes a few minutes; then it also answers at {_host(owner, name)}.")


def _rehearse(wanted: Wanted, files: Mapping[str, bytes], environment: Mapping[str, str], say) -> None:
    """Say what would be done and change nothing. With a token the Hub is asked what is there, without one it is not."""
    found = Found()
    if environment.get(TOKEN, "").strip():
        found = _repo(wanted, environment, {}).found()
        say("A rehearsal: nothing is changed. This would be done:")
    else:
        say(
            "A rehearsal: nothing is changed, and the Hub is not asked, since HF_TOKEN is not set. A new Space would take this:"
        )
    plan = steps(wanted, files, found)
    for line in told(wanted, files, plan, sizes=True) or ["Nothing: everything is there already"]:
        say(line if line.startswith(" ") else f"- {line}")
    for name, source in wanted.secrets.items():
        if name in plan.secrets and not environment.get(source, "").strip():
            say(f"It would be refused as long as {source} is not set here: it is the value of the secret {name}.")


def _nothing(plan: Steps) -> Steps:
    return Steps(False, False, "", "", (), {}, (), (), ())


def _repo(wanted: Wanted, environment: Mapping[str, str], secrets: Mapping[str, str]) -> SpaceRepo:
    return SpaceRepo(wanted, _endpoint(environment), environment.get(TOKEN, "").strip(), secrets)


def _endpoint(environment: Mapping[str, str]) -> str:
    return environment.get("HF_ENDPOINT", "").strip().rstrip("/") or "https://huggingface.co"


def _host(owner: str, name: str) -> str:
    return f"https://{re.sub('[^a-z0-9]+', '-', f'{owner}-{name}'.lower())}.hf.space"


def _secrets(wanted: Wanted, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the values of secrets.

    Raises:
        SettingsError: one is not set here.
    """
    if not environment.get(TOKEN, "").strip():
        raise SettingsError(
            "HF_TOKEN is not set: make a token with write access at https://huggingface.co/settings/tokens. With --dry-run none "
            "is needed."
        )
    found = {name: environment.get(source, "").strip() for name, source in wanted.secrets.items()}
    for name, value in found.items():
        if not value:
            raise SettingsError(f"{wanted.secrets[name]} is not set here: it is the value of the secret {name}.")
    return found


def _wanted(given: argparse.Namespace) -> Wanted:
    named = {name: name for name in given.secret}
    return Wanted(
        name=given.name,
        sdk=given.sdk,
        visibility=given.visibility or "",
        hardware=given.hardware,
        dataset_repo=given.dataset_repo,
        secrets={TOKEN: given.app_token, **named},
        variables=dict(given.variable),
        replace=given.replace,
    )


def _parser() -> argparse.ArgumentParser:
    said = "Publishes Pairloop as a Hugging Face Space, or updates it."
    parser = argparse.ArgumentParser("python -m space.publish", description=said, epilog=EPILOG)
    parser.add_argument("name", help="the Space, as owner/name")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done and change nothing; needs no token"
    )
    seen = parser.add_mutually_exclusive_group()
    for word, means in (
        ("private", "only its owner sees it: what a new Space is without any of these"),
        ("protected", "everybody may open the app, nobody else sees its files (paid plan)"),
        ("public", "everybody may open it and read its files"),
    ):
        seen.add_argument(f"--{word}", dest="visibility", action="store_const", const=word, help=means)
    parser.add_argument("--sdk", choices=sorted(OF_SDK), default="gradio", help="what runs it (default: gradio)")
    parser.add_argument(
        "--hardware", default="", metavar="NAME", help="for example cpu-basic, cpu-upgrade, zero-a10g (ZeroGPU)"
    )
    parser.add_argument(
        "--dataset-repo", default="", metavar="OWNER/NAME", help="what keeps everything (default: owner/name-data)"
    )
    parser.add_argument(
        "--secret", action="append", default=[], metavar="NAME", help="a secret; its value is this environment's"
    )
    parser.add_argument(
        "--variable", action="append", default=[], type=_pair, metavar="NAME=VALUE", help="a variable; public"
    )
    parser.add_argument(
        "--app-token", default=TOKEN, metavar="NAME", help="variable whose value the app gets as its HF_TOKEN"
    )
    parser.add_argument("--replace", action="store_true", help="put Pairloop in the place of another app of this name")
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:], os.environ)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads only the first lines, with "head", has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
