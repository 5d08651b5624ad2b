"""The dataset repo, spoken to through huggingface_hub; every failure comes back as a HubError in words."""

from __future__ import annotations

import email.utils
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from pipeline.errors import HubError

# What makes a commit: connect, send up to 50 MB, wait for the Hub to write it.
CONNECT_SECONDS, READ_SECONDS, WRITE_SECONDS = 5.0, 60.0, 60.0
FOLDERS = ("journal", "snapshot")


class DatasetRepo(Protocol):
    """What the synchronisation needs of a dataset repo. Every method raises HubError."""

    name: str
    # Whether everybody can read it, as of the last look at its head.
    public: bool

    def open(self) -> bool:
        """Make sure that the repo is there and can be written; return whether it was made just now."""

    def head(self) -> str:
        """Return the id of the newest commit."""

    def files(self, revision: str) -> dict[str, int]:
        """Return the journal and snapshot files of a commit with their sizes in bytes."""

    def read(self, path: str, revision: str) -> bytes:
        """Return a file of a commit."""

    def commit(self, message: str, add: Mapping[str, bytes], delete: Sequence[str] = (), parent: str = "") -> str:
        """Add and delete files in one commit and return its id; with ``parent``, only if that is the newest commit."""

    def squash(self) -> None:
        """Fold the repo's history into one commit."""


class HubRepo:
    """A dataset repo on the Hub, or on whatever speaks its protocol at ``endpoint``."""

    def __init__(self, name: str, endpoint: str, token: str, patience: float = READ_SECONDS) -> None:
        """Speak to the Hub; ``patience`` is how many seconds it may stay silent before a request is given up."""
        self.name = name
        self._endpoint = endpoint
        self._token = token
        self._patience = patience
        self.public = False

    def open(self) -> bool:
        """Make sure that the repo is there and can be written; return whether it was made just now."""
        from huggingface_hub.errors import RepositoryNotFoundError

        made = False
        with self._asking():
            try:
                self._api.repo_info(self.name, repo_type="dataset")
            except RepositoryNotFoundError as error:
                if error.response.status_code == 401:
                    raise
                self._api.create_repo(self.name, repo_type="dataset", visibility="private", exist_ok=True)
                made = True
            self._api.auth_check(self.name, repo_type="dataset", write=True)
        return made

    def head(self) -> str:
        """Return the id of the newest commit."""
        with self._asking():
            info = self._api.repo_info(self.name, repo_type="dataset")
            self.public = not info.private
            return str(info.sha)

    def files(self, revision: str) -> dict[str, int]:
        """Return the journal and snapshot files of a commit with their sizes in bytes."""
        from huggingface_hub.errors import EntryNotFoundError

        found: dict[str, int] = {}
        for folder in FOLDERS:
            with self._asking():
                listed = self._api.list_repo_tree(
                    self.name, folder, recursive=True, revision=revision, repo_type="dataset"
                )
                try:
                    found |= {item.path: item.size for item in listed if item.path.endswith(".jsonl")}
                except EntryNotFoundError:
                    continue
        return found

    def read(self, path: str, revision: str) -> bytes:
        """Return a file of a commit."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        address = hf_hub_url(self.name, path, repo_type="dataset", revision=revision, endpoint=self._endpoint)
        with self._asking():
            # Not hf_hub_download: its cache needs a home that can be written, which a Space may not have.
            answer = get_session().get(address, headers=build_hf_headers(token=self._token))
            hf_raise_for_status(answer)
            return answer.content

    def commit(self, message: str, add: Mapping[str, bytes], delete: Sequence[str] = (), parent: str = "") -> str:
        """Add and delete files in one commit and return its id; with ``parent``, only if that is the newest commit.

        The same files again make no second commit, so that a commit whose answer was lost can be sent again.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations = [CommitOperationAdd(path, content) for path, content in add.items()]
        operations += [CommitOperationDelete(path) for path in delete]
        with self._asking():
            info = self._api.create_commit(
                self.name,
                operations,
                commit_message=message,
                repo_type="dataset",
                parent_commit=parent or None,
            )
            return str(info.oid)

    def squash(self) -> None:
        """Fold the repo's history into one commit."""
        with self._asking():
            self._api.super_squash_history(self.name, repo_type="dataset", commit_message="Fold the history")

    @property
    def _api(self):
        return _api(self._endpoint, self._token, self._patience)

    @contextmanager
    def _asking(self):
        with hub_errors(self._endpoint, self._token, self._refused):
            yield

    def _refused(self, error) -> HubError:
        status = error.response.status_code
        said = self._masked(error.server_message or "").strip().rstrip(".")[:200]
        why = f" ({said})" if said else ""
        wait = _seconds(error.response.headers.get("retry-after", ""))
        if status == 401:
            return HubError(f"The Hub does not accept HF_TOKEN{why}: set a token that is valid.", status, final=True)
        if status == 403:
            return HubError(
                f"HF_TOKEN may not write to the dataset repo {self.name}{why}: give the token write access to it.",
                status,
                final=True,
            )
        if status == 404:
            return HubError(f"The dataset repo {self.name} is not there, or HF_TOKEN may not see it{why}.", status)
        if status in (409, 412):
            return HubError(f"Somebody else is writing to {self.name} at this moment{why}.", status, wait)
        if status == 429:
            return HubError(f"The Hub asks to wait: too many requests{why}.", status, wait)
        return HubError(f"The Hub answered with error {status}{why}.", status, wait)

    def _masked(self, text: str) -> str:
        return _masked(text, self._token)


@contextmanager
def hub_errors(endpoint: str, token: str, refused: Callable[[object], HubError] | None = None):
    """Turn what huggingface_hub raises into a HubError; ``refused`` words the answers that are errors."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    told = refused or (lambda error: _plain_refusal(error, token))
    try:
        yield
    except HfHubHTTPError as error:
        raise told(error) from error
    except httpx2.TimeoutException as error:
        raise HubError(f"{endpoint} did not answer in time.") from error
    except RuntimeError as error:
        # What fails in the upload of one file comes wrapped, with the failure itself as the cause.
        if isinstance(error.__cause__, HfHubHTTPError):
            raise told(error.__cause__) from error
        reason = _masked(f"{error} {error.__cause__ or ''}", token)
        raise HubError(f"{endpoint} did not take a file ({reason[:200].strip()}).") from error
    except (httpx2.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
        # The last three: an answer that is not the Hub's, for instance a page of a proxy.
        reason = _masked(str(error), token) or type(error).__name__
        raise HubError(f"{endpoint} cannot be reached ({reason[:200]}).") from error


def _masked(text: str, token: str) -> str:
    return text.replace(token, "•••") if token else text


def _plain_refusal(error, token: str) -> HubError:
    """Return a refusal in the Hub's own words."""
    status = error.response.status_code
    unsaid = {401: "HF_TOKEN is not valid", 403: "HF_TOKEN may not do this"}.get(status, "it gave no reason")
    said = _masked(error.server_message or "", token).strip().rstrip(".")[:300] or unsaid
    return HubError(f"{said} ({status}).", status, _seconds(error.response.headers.get("retry-after", "")))


def hub_api(endpoint: str, token: str, patience: float = READ_SECONDS):
    """Return the client of huggingface_hub for an endpoint; one for each, with a time-out on every request."""
    return _api(endpoint, token, patience)


@functools.cache
def _api(endpoint: str, token: str, patience: float):
    import httpx2
    from huggingface_hub import HfApi, constants, set_client_factory
    from huggingface_hub.utils import disable_progress_bars, logging
    from huggingface_hub.utils._http import hf_request_event_hook

    disable_progress_bars()
    # It warns where a commit changes nothing, which is what a repeated one is meant to do.
    logging.set_verbosity_error()
    # Classic LFS is what the tests see. Xet, which the library would take for the tables, fails with no way back.
    constants.HF_HUB_DISABLE_XET = True
    # The library's own client waits for ever.
    timeout = httpx2.Timeout(patience, connect=CONNECT_SECONDS, write=WRITE_SECONDS)
    hooks = {"request": [hf_request_event_hook]}
    set_client_factory(lambda: httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=timeout))
    return HfApi(endpoint=endpoint, token=token, library_name="pairloop")


def _seconds(header: str, now: Callable[[], float] = time.time) -> float:
    """Return how long a Retry-After header asks to wait, in seconds; 0 where it says nothing."""
    if header.strip().isdigit():
        return float(header)
    moment = email.utils.parsedate_tz(header)
    return max(0.0, email.utils.mktime_tz(moment) - now()) if moment else 0.0
