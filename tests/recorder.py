"""A TCP proxy that keeps every byte a server sends, so that a test can search what reached a browser."""

from __future__ import annotations

import contextlib
import socket
import threading


class Recorder:
    """Forwards a port of 127.0.0.1 to another. ``sent`` is all that the server sent, over all connections."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._parts: list[bytes] = []
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def sent(self) -> bytes:
        """Everything that the server has sent so far."""
        with self._lock:
            return b"".join(self._parts)

    def __enter__(self) -> Recorder:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, record: bool) -> None:
        # A side that goes away ends the connection; that is not an error of the recording.
        with contextlib.suppress(OSError), contextlib.closing(source), contextlib.closing(target):
            while data := source.recv(65536):
                if record:
                    self._answer(data, target)
                    continue
                # Compressed answers could not be searched: the request's wish for them gets another name.
                for name in (b"Accept-Encoding", b"accept-encoding"):
                    data = data.replace(name, b"X-Ignored-Coded")
                target.sendall(data)

    def _answer(self, data: bytes, client: socket.socket) -> None:
        """Keep what the server sent, and pass it on."""
        with self._lock:
            self._parts.append(data)
        client.sendall(data)
