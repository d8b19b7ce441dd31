"""A small server that speaks the few routes of our APIs that the checker uses: `python -m tests.faults.twins NAME`.

It takes the same settings as `onetime serve` and says the same when it is ready. NAME is `correct` or one of `TWINS`.
A few hundred lines of plain Python, so that a mistake in it is easily found: it is what the checker is checked against.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import parse_qs

from tests.faults.twins.broken import TWINS as SEALED_TWINS
from tests.faults.twins.broken_envelopes import ENVELOPE_TWINS
from tests.faults.twins.envelopes import Envelope, Refused, hash_of, hex_of, told
from tests.faults.twins.store import Full, Row, Store

TWINS = SEALED_TWINS | ENVELOPE_TWINS


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def handle_one_request(self) -> None:
        self._counted = False
        super().handle_one_request()
        if self._counted:
            self.server.running(-1)

    def parse_request(self) -> bool:
        self._counted = True
        self.server.running(+1)
        return super().parse_request()

    def do_GET(self) -> None:
        self._route("GET", {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path.startswith("/api/e2e/"):
            self._route_of_envelopes(body)
            return
        form = parse_qs(body.decode(), keep_blank_values=True)
        self._route("POST", {name: values[0] for name, values in form.items()})

    def _route(self, method: str, form: dict[str, str]) -> None:
        try:
            self._answer(*self._act(method, self.path.strip("/").split("/"), form))
        except Full:
            self._answer(503, {"message": "No room"}, self.server.store.retry_after)
        except Exception as error:  # noqa: BLE001 - a twin that breaks is a server that answers 503
            self._answer(503, {"message": str(error)})

    def _act(self, method: str, parts: list[str], form: dict[str, str]) -> tuple[int, Any]:
        store = self.server.store
        match method, parts:
            case "GET", ["health", "ready"] | ["api", "v1", "status"]:
                return 200, {"status": "nominal"}
            case "POST", ["api", "v1", "share"]:
                return 200, _receipt(store.conceal(form["secret"], int(form["ttl"])))
            case "POST", ["api", "v1", "secret", key]:
                value = store.reveal(key)
                return _or_404(key, None if value is None else {"value": value, "secret_key": key})
            case "POST", ["api", "v1", "private", key, "burn"]:
                row = store.burn(key)
                return _or_404(key, row and {"state": _receipt(row)})
            case "GET", ["api", "v1", "private", key]:
                row = store.receipt(key)
                return _or_404(key, row and _receipt(row))
            case _:
                return 404, {"error": "Not Found"}

    def _route_of_envelopes(self, body: bytes) -> None:
        try:
            self._answer(*self._act_on_envelope(self.path.removeprefix("/api/e2e/"), body))
        except Refused as refused:
            self._answer(refused.status, {"error": {"code": str(refused)}})
        except (Full, sqlite3.OperationalError):
            said = {"error": {"code": "full"}}
            self._answer(503, said, self.server.store.retry_after)
        except Exception as error:  # noqa: BLE001 - as above
            self._answer(503, {"error": {"code": str(error)}})

    def _act_on_envelope(self, act: str, body: bytes) -> tuple[Any, ...]:
        store = self.server.store
        if act == "create":
            new = Envelope(
                secret_id=hex_of(self.headers["Onetime-Secret-Id"]),
                open_hash=hex_of(self.headers["Onetime-Open-Hash"]),
                receipt_hash=hex_of(self.headers["Onetime-Receipt-Hash"]),
                created=int(time.time()),
                ttl=int(self.headers["Onetime-Ttl"]),
                body=body,
            )
            return 201, told(store.create(new))
        asked = json.loads(body)
        match act:
            case "reveal":
                secret_id, open_hash = hash_of(asked["link_proof"]), hash_of(asked["open_proof"])
                row = store.claim(secret_id, open_hash, asked["claim"])
                times = {
                    "Onetime-Window-Ends-At": str(row.window_ends_at),
                    "Onetime-Now": str(int(time.time())),
                }
                return 200, row.body, "", times
            case "settle":
                row = store.settle(hash_of(asked["link_proof"]), asked["claim"])
                return 200, {"acknowledged_at": row.acknowledged_at}
            case "burn":
                open_hash = hash_of(asked["open_proof"])
                store.destroy(hash_of(asked["link_proof"]), open_hash)
                return 200, {"state": "burned"}
        ask = store.withdraw if act == "receipt/burn" else store.track
        return 200, told(ask(hex_of(asked["secret_id"]), hash_of(asked["receipt_proof"])))

    def _answer(
        self,
        status: int,
        said: Any,
        retry_after: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        if self.server.stopping:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


def _or_404(key: str, said: Any) -> tuple[int, Any]:
    return (200, said) if said else (404, {"secret_key": key, "message": "Unknown secret"})


def _receipt(row: Row) -> dict[str, Any]:
    now = int(time.time())
    said: dict[str, Any] = {
        "metadata_key": row.receipt_key,
        "ttl": row.ttl,
        "metadata_ttl": row.expires_at + row.ttl - now,
        "state": row.state,
        "created": row.created,
    }
    if row.state == "received":
        return said | {"received": row.ended_at}
    new = row.state == "new"
    return said | {
        "secret_key": row.secret_key if new else "",
        "secret_ttl": row.expires_at - now if new else None,
    }


class Server(ThreadingHTTPServer):
    """Serves on a socket that is bound already, so that several processes can."""

    request_queue_size = 256
    daemon_threads = True

    def __init__(self, listening: socket.socket, store: Store) -> None:
        super().__init__(listening.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.store = store
        self.stopping = False
        self._running = 0
        self._lock = threading.Lock()

    def running(self, change: int) -> None:
        with self._lock:
            self._running += change

    def stop(self) -> None:
        """Finish what runs, commit what waits, end."""
        if self.store.drains:
            self.stopping = self.store.stopping = True
            self.shutdown()
            self.socket.close()
            while self._running:
                time.sleep(0.005)
            self.store.close()
        os._exit(self.store.exit_code)


def work(listening: socket.socket, make: type[Store]) -> None:
    reserve = int(os.environ.get("ONETIME_DISK_RESERVE", "0"))
    server = Server(listening, make(Path(os.environ["ONETIME_DATA_DIR"]), reserve))

    def on_term(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.stop).start()

    signal.signal(signal.SIGTERM, on_term)
    server.serve_forever(poll_interval=0.02)
    threading.Event().wait()  # `stop` ends the process


def main(name: str) -> None:
    listening = socket.create_server(
        (os.environ["ONETIME_HOST"], int(os.environ["ONETIME_PORT"])), backlog=256
    )
    host, port = listening.getsockname()
    workers = int(os.environ.get("ONETIME_WORKERS", "1"))
    ready = f"Onetime is ready at http://{host}:{port}/"
    if workers == 1:
        print(ready, flush=True)
        work(listening, TWINS[name])
        return
    listening.setblocking(False)  # all wake up, one accepts
    Path(os.environ["ONETIME_DATA_DIR"]).mkdir(parents=True, exist_ok=True)
    pids = []
    for _ in range(workers):
        pid = os.fork()
        if pid == 0:
            work(listening, TWINS[name])
        pids.append(pid)

    def on_term(number: int, _frame: FrameType | None) -> None:
        for pid in pids:
            os.kill(pid, number)

    signal.signal(signal.SIGTERM, on_term)
    listening.close()
    print(ready, flush=True)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    sys.exit(max(codes))


if __name__ == "__main__":
    main(sys.argv[1])
