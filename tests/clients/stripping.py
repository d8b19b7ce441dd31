"""A proxy that takes the credentials away: what is left of a client that always sends some is its anonymous use."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

DROPPED = frozenset({"authorization", "connection"})
PATIENCE_SECONDS = 20


@contextlib.contextmanager
def without_credentials(url: str) -> Iterator[str]:
    """The address of the proxy, without a closing slash."""
    upstream = urlsplit(url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            kept = {
                name: value for name, value in self.headers.items() if name.lower() not in DROPPED
            }
            assert "Authorization" in self.headers
            host, port = upstream.hostname or "", upstream.port
            with contextlib.closing(
                http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
            ) as connection:
                connection.request(self.command, self.path, body or None, kept)
                answer = connection.getresponse()
                content = answer.read()
                self.send_response(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()
            thread.join()
