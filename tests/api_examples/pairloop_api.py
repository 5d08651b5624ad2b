"""A small client of Pairloop's API in plain Python: copy it, or take any HTTP library.

The address and the token come from the variables PAIRLOOP_URL and PAIRLOOP_TOKEN.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid


class Pairloop:
    """Speaks to one Pairloop as the person whose token it has."""

    def __init__(self, url=None, token=None):
        self.url = (url or os.environ["PAIRLOOP_URL"]).rstrip("/") + "/api/v1"
        self.token = token or os.environ["PAIRLOOP_TOKEN"]

    def get(self, path, **query):
        """Return the JSON of an answer."""
        return json.loads(self.download(path, **query))

    def download(self, path, **query):
        """Return the bytes of an answer."""
        return self._send(f"{path}?{urllib.parse.urlencode(query)}" if query else path)

    def post(self, path, body=None):
        """Send JSON, return the JSON of the answer."""
        data = json.dumps({} if body is None else body).encode()
        return json.loads(self._send(path, data, "application/json"))

    def upload(self, path, files):
        """Send files given as (name, bytes), return the JSON of the answer."""
        mark = uuid.uuid4().hex
        parts = []
        for name, content in files:
            head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
            parts += [head.encode(), content, b"\r\n"]
        body = b"".join(parts) + f"--{mark}--\r\n".encode()
        return json.loads(self._send(path, body, f"multipart/form-data; boundary={mark}"))

    def _send(self, path, data=None, kind=None):
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Content-Type": kind} if kind else {})
        # Names may have blanks in them.
        address = self.url + urllib.parse.quote(path, safe="/?=&%")
        for _ in range(5):
            try:
                with urllib.request.urlopen(urllib.request.Request(address, data, headers), timeout=120) as answer:
                    return answer.read()
            except urllib.error.HTTPError as error:
                if error.code == 429:
                    # Too much within a minute: the answer says how long to wait.
                    time.sleep(int(error.headers["Retry-After"]))
                    continue
                sys.exit(f"{error.code}: {json.loads(error.read())['error']}")
        sys.exit("Pairloop is busy. Try again later.")


def new_token():
    """Return a text under which a request can be sent again without being carried out twice."""
    return uuid.uuid4().hex
