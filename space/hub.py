"""The Space on the Hub, read and written through huggingface_hub; what is refused is told in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager

import yaml

from pipeline.errors import HubError
from pipeline.hub.repo import hub_api, hub_errors
from space.plan import REPO, TAG, File, Found, Steps, Wanted

PAID = (
    "The Hub asks for a paid plan (402): a Gradio or Docker Space on CPU hardware needs PRO, Team or Enterprise, and other "
    "hardware a payment method. A free account that is older than 30 days and has a verified e-mail address may have ZeroGPU: "
    "add --hardware zero-a10g."
)


class SpaceRepo:
    """One Space and its dataset repo. ``secrets`` are the values that may be written, by the name that they get."""

    def __init__(self, wanted: Wanted, endpoint: str, token: str, secrets: Mapping[str, str]) -> None:
        self._wanted = wanted
        self._endpoint = endpoint
        self._token = token
        self._secrets = {**secrets, REPO: wanted.dataset_repo}
        self._api = hub_api(endpoint, token)

    def found(self) -> Found:
        """Return what is there. Changes nothing.

        Raises:
            HubError: the Hub cannot be asked, or does not accept the token.
        """
        from huggingface_hub.errors import RepositoryNotFoundError

        name = self._wanted.name
        with self._asking():
            self._api.whoami()
        data = self._data()
        with self._asking():
            try:
                info = self._api.space_info(name)
            except RepositoryNotFoundError:
                return Found(data=data)
            listed = self._api.list_repo_tree(name, recursive=True, revision=info.sha, repo_type="space")
            files = {item.path: _file(item) for item in listed if hasattr(item, "blob_id")}
            runtime = self._api.get_space_runtime(name)
            variables = {key: one.value for key, one in self._api.get_space_variables(name).items()}
            secrets = frozenset(self._api.get_space_secrets(name))
        hardware = str(runtime.requested_hardware or runtime.hardware or "")
        return Found(str(info.sha), self._ours(str(info.sha), files), files, secrets, variables, hardware, data)

    def make_data(self) -> None:
        """Make the private dataset repo."""
        with self._asking():
            self._api.create_repo(self._wanted.data, repo_type="dataset", visibility="private", exist_ok=True)

    def make_space(self, plan: Steps) -> None:
        """Make the Space with its hardware, secrets and variables, so that its first build has them."""
        with self._asking():
            self._api.create_repo(
                self._wanted.name,
                repo_type="space",
                space_sdk=self._wanted.sdk,
                visibility=plan.visibility,
                space_hardware=plan.hardware or None,
                space_secrets=[{"key": name, "value": self._secrets[name]} for name in plan.secrets],
                space_variables=[{"key": name, "value": value} for name, value in plan.variables.items()],
            )

    def set_up(self, plan: Steps) -> None:
        """Bring visibility, secrets, variables and hardware of a Space that is there to what is wanted."""
        name = self._wanted.name
        with self._asking():
            if plan.visibility:
                self._api.update_repo_settings(name, visibility=plan.visibility, repo_type="space")
            for key in plan.secrets:
                self._api.add_space_secret(name, key, self._secrets[key])
            for key, value in plan.variables.items():
                self._api.add_space_variable(name, key, value)
            if plan.hardware:
                self._api.request_space_hardware(name, plan.hardware)

    def commit(self, plan: Steps, files: Mapping[str, bytes], parent: str) -> str:
        """Write all files in one commit, on the one that was looked at; return its id."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations = [CommitOperationAdd(path, files[path]) for path in (*plan.add, *plan.change)]
        operations += [CommitOperationDelete(path) for path in plan.delete]
        with self._asking():
            info = self._api.create_commit(
                self._wanted.name,
                operations,
                commit_message="Publish Pairloop",
                repo_type="space",
                parent_commit=parent or None,
            )
            return str(info.oid)

    def _data(self) -> str | None:
        from huggingface_hub.errors import RepositoryNotFoundError

        with self._asking():
            try:
                info = self._api.dataset_info(self._wanted.data)
            except RepositoryNotFoundError:
                return None
            return "private" if info.private else "public"

    def _ours(self, revision: str, files: Mapping[str, File]) -> bool:
        """Say whether the Space's card says that it is a Pairloop."""
        if "README.md" not in files:
            return False
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        place = {"repo_type": "space", "revision": revision, "endpoint": self._endpoint}
        with self._asking():
            answer = get_session().get(
                hf_hub_url(self._wanted.name, "README.md", **place), headers=build_hf_headers(token=self._token)
            )
            hf_raise_for_status(answer)
        block = re.match(r"---\r?\n(.*?)\r?\n---", answer.text, re.S)
        try:
            card = yaml.safe_load(block[1]) if block else {}
        except yaml.YAMLError:
            return False
        return isinstance(card, dict) and TAG in (card.get("tags") or ())

    @contextmanager
    def _asking(self):
        try:
            with hub_errors(self._endpoint, self._token, self._refused):
                yield
        except HubError as error:
            # A server may repeat what it was sent.
            raise HubError(self._masked(str(error)), error.status, error.retry_after, error.final) from None

    def _refused(self, error) -> HubError:
        status = error.response.status_code
        said = self._masked(error.server_message or "").strip().rstrip(".")[:300]
        why = f" ({said})" if said else ""
        owner = self._wanted.name.split("/")[0]
        words = {
            401: f"The Hub does not accept HF_TOKEN{why}: set a token that is valid.",
            402: f"{PAID}{why and ' The Hub says: ' + said + '.'}",
            403: f"HF_TOKEN may not do this for {owner}{why}: take a token that may write to repos of {owner}.",
            404: f"The Hub knows nothing of this{why}: look at the names.",
            409: f"Somebody else is writing there at this moment, or has made it just now{why}: run the command again.",
            412: "Somebody changed the Space at this moment: run the command again.",
            429: f"The Hub asks to wait: too many requests{why}. Run the command again later.",
        }
        return HubError(words.get(status, f"The Hub answered with error {status}{why}."), status)

    def _masked(self, text: str) -> str:
        for secret in sorted({self._token, *self._secrets.values()} - {"", self._wanted.dataset_repo}, key=len):
            text = text.replace(secret, "•••")
        return text


def _file(item) -> File:
    return File(item.blob_id, item.lfs.sha256 if item.lfs else "")
