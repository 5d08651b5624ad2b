"""Azure's addresses and header on the double of OpenAI's endpoint: deployments with an API version, and /openai/v1."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from tests.openai_server import Handler, OpenAIServer, Refusal

VERSION = "2024-10-21"
_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)(/chat/completions)")


class AzureHandler(Handler):
    """Answers as Azure OpenAI does. The key is in ``api-key`` at a deployment, and a bearer's or there at /openai/v1."""

    def _route(self, owner: OpenAIServer, body: object) -> None:
        asked = urlsplit(self.path)
        deployment = _DEPLOYMENT.fullmatch(asked.path)
        if deployment or asked.path == "/openai/models":
            if parse_qs(asked.query).get("api-version") != [VERSION]:
                raise Refusal(404, "Resource not found", "404")
            if self.headers.get("api-key") != owner.api_key:
                raise Refusal(401, "Access denied due to invalid subscription key or wrong API endpoint.", "401")
            if deployment and deployment[1] not in owner.models:
                raise Refusal(404, "The API deployment for this resource does not exist.", "DeploymentNotFound")
            self.path = f"/v1{deployment[2] if deployment else '/models'}"
        elif asked.path.startswith("/openai/v1/"):
            self.path = asked.path.removeprefix("/openai")
        else:
            raise Refusal(404, "Resource not found", "404")
        super()._route(owner, body)

    def check_key(self, owner: OpenAIServer) -> None:
        """Take the key from either header."""
        if self.headers.get("api-key") != owner.api_key:
            super().check_key(owner)
