"""The Hub of the tests on a port: reads requests, and lets go wrong what is to go wrong."""

from __future__ import annotations

import select
import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from tests.hub_model import Gone, LoggedRequest

if TYPE_CHECKING:
    from tests.hub_server import HubServer


class HubSocket(ThreadingHTTPServer):
    daemon_threads = True
    # A burst of connections waits in the backlog; the default of 5 would refuse some.
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], hub: HubServer) -> None:
        self.hub, self.stopping = hub, threading.Event()
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: socket.socket, client_address: object) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        """Cut what clients keep open; a stopped server would serve on there."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent where the client has left; anything else is a mistake in this file."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HubSocket

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            return  # whoever died in the middle of a request has asked for nothing
        call = LoggedRequest(self.command, path, parse_qs(query), headers, body)
        try:
            self._answer(self.server.hub, call)
        except (Gone, OSError):
            call.lost = self.close_connection = True
            call.ended = time.time()
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self, hub: HubServer, call: LoggedRequest) -> None:
        fault = hub.next_fault(call)
        if fault.drop != "after":
            self._pause(fault.hang)
        if fault.drop == "before":
            raise Gone
        answer = fault.answer() if fault.status else hub.handle(call, self.server.stopping)
        call.status, call.ended = answer.status, time.time()
        if fault.drop == "after":
            self._pause(fault.hang)
            raise Gone
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value.encode("ascii", "replace").decode().replace("\n", " "))
        self.end_headers()
        body = b"" if self.command == "HEAD" else answer.body
        self.wfile.write(body[: len(body) // 2] if fault.drop == "cut" else body)
        if fault.drop == "cut":
            raise Gone

    def _pause(self, seconds: float) -> None:
        """Wait, but no longer than the client does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.server.stopping.wait(min(left, 0.02)):
                raise Gone
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise Gone
