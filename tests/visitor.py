"""Calls the app's listeners over HTTP as its page in a browser does, without a browser."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from http.client import HTTPException

from components._session import COOKIE


class Refused(Exception):
    """The app answered a call with an error; the message is what a person would read."""


class Visitor:
    """One page in a browser, with the browser's cookie. ``token`` "" is a browser that sends none."""

    def __init__(self, url: str, token: str | None = None, timeout: float = 60) -> None:
        self.url = url
        self.token = secrets.token_hex(32) if token is None else token
        self._timeout = timeout
        self._session = secrets.token_hex(6)
        config = json.loads(self.open("/config").read())
        self._numbers = {entry["api_name"]: entry["id"] for entry in config["dependencies"]}

    def open(self, path: str, body: object = None):
        """Send a request and return the open response."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Cookie"] = f"{COOKIE}={self.token}"
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=self._timeout)

    def annotate(self, route: str, **body: object) -> dict:
        """Ask a route of the Annotate panel, as the page's script does.

        Raises:
            Refused: the app answered with an error.
        """
        headers = {"Content-Type": "application/json", "X-Pairloop": "1", "Cookie": f"{COOKIE}={self.token}"}
        request = urllib.request.Request(f"{self.url}/annotate/{route}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise Refused(json.loads(error.read())["error"]) from error

    def call(self, listener: str, *values: object, event: object = None) -> list:
        """Call a listener by its name and return its outputs, when the app says that it is done.

        Raises:
            Refused: the app answered with an error.
            OSError or HTTPException: the connection broke, so that nobody knows whether the call was carried out.
        """
        number, session = self._numbers[listener], self._session
        body = {"data": list(values), "fn_index": number, "session_hash": session, "event_data": event}
        self.open("/gradio_api/queue/join", body).read()
        with self.open(f"/gradio_api/queue/data?session_hash={session}") as stream:
            for line in stream:
                message = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if message.get("msg") == "process_completed":
                    if not message["success"]:
                        raise Refused(message["output"].get("error"))
                    return message["output"]["data"]
        raise HTTPException("the stream ended before the call was done")
