"""Model files of the Hugging Face Hub, fetched into the cache that all programs of this machine share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from pipeline.errors import ModelError
from pipeline.models.hub_refusals import refused

_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SHOWN = 8
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file in the cache, and the commit that it is of: under it the Hub has the same bytes for ever."""

    path: Path
    file: str
    revision: str


@dataclass(frozen=True, slots=True)
class ModelHub:
    """The Hub of the settings. ``token`` opens private and gated repos."""

    endpoint: str
    token: str = ""

    def fetch(self, repo: str, file: str = "", revision: str = "") -> Fetched:
        """Return a GGUF file of a repo, from the cache where that has it; without ``file``, the only one there is.

        Raises:
            ModelError: there is no such file, the Hub does not let us have it, or there is no network and it is not cached.
        """
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError

        if not _ID.fullmatch(repo):
            raise ModelError(f"{repo!r} is no name of a Hub repo: it is written owner/name.")
        _check_inside(file, revision)
        try:
            if revision and (cached := self._cached(repo, file, revision)):
                return cached
            return self._download(repo, file, revision)
        except HfHubHTTPError as error:
            raise ModelError(refused(repo, error)) from error
        except (httpx2.HTTPError, ConnectionError) as error:
            if file and (cached := self._cached(repo, file, revision)):
                return cached
            raise ModelError(
                f"{f'{file} of ' if file else ''}{repo} is not on this machine yet, and {self.endpoint} cannot be reached: "
                "connect to the network, or give the path of a file."
            ) from error
        except OSError as error:
            raise ModelError(f"{file} of {repo} could not be kept on this machine: {error}.") from error

    def cached(self, repo: str, file: str, revision: str) -> Path:
        """Return a file that was fetched before.

        Raises:
            ModelError: it is not on this machine.
        """
        _check_inside(repo, file, revision)
        if found := self._cached(repo, file, revision):
            return found.path
        raise ModelError(f"{file} of {repo} is not on this machine yet: ask the model once, which fetches it.")

    def _cached(self, repo: str, file: str, revision: str) -> Fetched | None:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(repo, file, revision=revision or None)
        return _fetched(Path(found), file) if isinstance(found, str) else None

    def _download(self, repo: str, file: str, revision: str) -> Fetched:
        from huggingface_hub import HfApi

        # One request first that does not try for half a minute where there is no network.
        api = HfApi(endpoint=self.endpoint, token=self.token or False)
        told = api.model_info(repo, revision=revision or None, timeout=_SECONDS)
        names = [item.rfilename for item in told.siblings or ()]
        file = _chosen(repo, file, names)
        return _fetched(Path(api.hf_hub_download(repo, file, revision=told.sha)), file)


def _check_inside(*names: str) -> None:
    """Check that names, which may come from a workspace file, do not lead out of the folders of the cache."""
    parts = [part for name in names for part in (PurePosixPath(name).parts + PureWindowsPath(name).parts)]
    if any(part == ".." or PurePosixPath(part).is_absolute() or PureWindowsPath(part).anchor for part in parts):
        raise ModelError("The name of a repo, of its file or of its revision may not lead out of its folder.")


def _chosen(repo: str, file: str, names: Sequence[str]) -> str:
    files = sorted(name for name in names if name.lower().endswith(".gguf"))
    if not files:
        raise ModelError(f"{repo} has no .gguf file: look for the repo of the model whose name ends in -GGUF.")
    if file in files:
        return file
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    choice = f"{', '.join(files[:_SHOWN])}{more}"
    if file:
        raise ModelError(f"{repo} has no file {file}. It has: {choice}.")
    if len(files) > 1:
        raise ModelError(f"{repo} has several files; give the name of one of them: {choice}.")
    return files[0]


def _fetched(path: Path, file: str) -> Fetched:
    # The folder of a cached file bears the commit's name.
    return Fetched(path, file, path.parents[len(Path(file).parts) - 1].name)
