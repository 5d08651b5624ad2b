"""Annotates over HTTP as the page's script does, without a browser."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping

from components._session import COOKIE


class Annotator:
    """One window of one person. ``record`` is the id of the record on the screen, "" where there is none."""

    def __init__(self, url: str, dataset: str = "", token: str | None = None) -> None:
        self._url, self._dataset = url, dataset
        self._token = token or secrets.token_hex(32)
        self._versions: dict[str, str] = {}
        self._next: Mapping[str, object] | None = None
        self._before = ""
        self.record = ""
        self.waiting = False

    def ask(self, route: str, **body: object) -> tuple[int, dict]:
        """Send a request; return its status and what was answered."""
        headers = {"Content-Type": "application/json", "X-Pairloop": "1", "Cookie": f"{COOKIE}={self._token}"}
        request = urllib.request.Request(f"{self._url}/annotate/{route}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def open(self, leave: bool = False, record: str = "") -> dict:
        """Show the next record, or a given one; ``leave`` frees those that were shown."""
        shown = [record_id for record_id in (self.record, (self._next or {}).get("id", "")) if record_id]
        _, answer = self.ask("open", dataset=self._dataset, record=record, leaving=shown if leave else [])
        self._dataset = answer.get("dataset", self._dataset)
        self._show(answer)
        return answer

    def draft(self, values: Mapping[str, object]) -> dict:
        """Save a draft of the record on the screen."""
        status, answer = self.ask("draft", record=self.record, values=values, version=self._versions[self.record])
        if status == 200:
            self._versions[self.record] = answer["version"]
        return answer

    def end(self, action: str, values: Mapping[str, object]) -> str:
        """Submit or discard the record on the screen and go on as the page does; return why that was refused, or ""."""
        showing = str((self._next or {}).get("id", ""))
        given = {"record": self.record, "values": values, "version": self._versions[self.record], "seconds": 1.0}
        status, answer = self.ask("end", action=action, showing=showing, **given)
        if status != 200:
            return answer["error"]
        self._before, self._versions[self.record] = self.record, answer["version"]
        if answer["place"]:
            self.record, self._next = showing, answer["next"]
            self._note(answer["next"])
        else:
            self._show(answer)
        return ""

    def undo(self) -> None:
        """Take back what was ended last."""
        status, answer = self.ask("undo", record=self._before, leaving=[self.record] if self.record else [])
        if status == 200:
            self._show(answer)

    def _show(self, answer: Mapping[str, object]) -> None:
        card = answer.get("card")
        self.record, self.waiting = (card or {}).get("id", ""), bool(answer.get("waiting"))
        self._next = answer.get("next")
        self._note(card)
        self._note(self._next)

    def _note(self, card: Mapping[str, object] | None) -> None:
        if card:
            self._versions[card["id"]] = card["version"]
