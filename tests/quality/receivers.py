"""Receivers on loopback: an HTTP server and an SMTP server that keep what they are sent."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass
class Hook:
    """A web hook: what it got, and the statuses it answers with, one after the other; then always 200."""

    port: int
    got: list[dict[str, object]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/secret-token"


@contextmanager
def web_hook() -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = hook.statuses.pop(0) if hook.statuses else 200
            if status == 200:
                hook.got.append(body)
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    hook = Hook(server.server_port)
    with _serving(server):
        yield hook


@dataclass
class Mailbox:
    """A mail server: the messages it took, and the name and password that somebody gave."""

    port: int
    messages: list[str] = field(default_factory=list)
    login: list[str] = field(default_factory=list)
    refuses: bool = False


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """As much of SMTP (RFC 5321, AUTH PLAIN of RFC 4954) as a client needs."""

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                word = line.upper().partition(" ")[0]
                if word == "EHLO":
                    self.say("250-here")
                    self.say("250 AUTH PLAIN")
                elif word == "AUTH":
                    mailbox.login.append(line.split()[-1])
                    self.say("235 welcome")
                elif word == "DATA":
                    self.take()
                elif word == "QUIT":
                    return self.say("221 bye")
                else:
                    self.say("550 no" if mailbox.refuses and word == "RCPT" else "250 ok")
            return None

        def take(self) -> None:
            self.say("354 go on")
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line.decode())
            mailbox.messages.append("".join(lines))
            self.say("250 taken")

    server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
    mailbox = Mailbox(server.server_address[1])
    with _serving(server):
        yield mailbox


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
