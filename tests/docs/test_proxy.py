"""nginx as docs/install.md sets it up, in front of a real server."""

import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.cli.running import Server, serving, until

INSTALL = (needs.ROOT / "docs" / "install.md").read_text()

# What nginx needs beside the example to run here, by anybody: files of its own and no daemon.
AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{example}
}}
"""


def example(before: str) -> str:
    """The block of the page that begins after this text."""
    block = INSTALL.partition(before)[2].partition("\n\n    ")[2]
    return "    " + re.split(r"\n\n(?=\S)", block)[0]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


@contextlib.contextmanager
def proxy(folder: Path, text: str, server: Server) -> Iterator[Server]:
    """The server as seen through nginx, on plain http and another port: the rest of the example as it stands."""
    port = free_port()
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    text = text.replace("http://127.0.0.1:3000", server.address.rstrip("/").removesuffix("/ots"))
    text = text.replace("/var/log/nginx/", f"{folder}/")
    text = re.sub(r"ssl_certificate(_key)? .*", "", text)
    config = folder / "nginx.conf"
    config.write_text(AROUND.format(folder=folder, example=text))
    with (folder / "nginx.err").open("wb") as stderr:
        process = subprocess.Popen(
            [needs.nginx(), "-p", folder, "-e", "stderr", "-c", config],
            stderr=stderr,
            start_new_session=True,
        )
    outside = Server(server.folder)
    outside.address = f"http://127.0.0.1:{port}/"
    try:

        def listening() -> bool:
            assert process.poll() is None, (folder / "nginx.err").read_text()
            with contextlib.suppress(ConnectionRefusedError):
                outside.connect().close()
                return True
            return False

        until(listening)
        for name in ("body", "proxy"):
            # Whatever wants to be written down from here on makes the request fail.
            (folder / name).chmod(0o500)
        yield outside
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    needs.nginx()
    folder = tmp_path / "nginx"
    folder.mkdir()
    return folder


OUTSIDE = {
    "ONETIME_BASE_URL": "https://secrets.example/",
    "ONETIME_TRUSTED_PROXIES": "127.0.0.1",
}
# A text in its least compact spelling, as large as it may be.
LARGEST = "\x01" * 100_000


def test_the_example_passes_everything_and_keeps_nothing(folder: Path) -> None:
    with serving(folder, OUTSIDE) as server, proxy(folder, example("### nginx"), server) as outside:
        assert outside.request("GET", "/", host="secrets.example").status == 200
        secret_key = outside.share(LARGEST)
        assert outside.reveal(secret_key).json()["value"] == LARGEST
        assert outside.reveal(secret_key).status == 404
        assert [path for path in folder.glob("*.log") if path.stat().st_size] == []


def test_without_its_line_about_bodies_they_would_be_written_down(folder: Path) -> None:
    text = example("### nginx")
    line = "proxy_request_buffering off;"
    assert line in text
    with (
        serving(folder, OUTSIDE) as server,
        proxy(folder, text.replace(line, ""), server) as outside,
    ):
        assert outside.request("POST", "/api/v1/share", form={"secret": LARGEST}).status == 500


@pytest.mark.parametrize("cut", [False, True], ids=["path passed on", "path cut off"])
def test_the_path_may_be_passed_on_or_cut_off(cut: bool, folder: Path) -> None:
    text = example("### Under a path").replace("…", "")
    if cut:
        text = text.replace("http://127.0.0.1:3000;", "http://127.0.0.1:3000/;")
    text = f"server {{ listen 443 ssl; {text} }}"
    with (
        serving(folder, {"ONETIME_BASE_URL": "https://example.org/ots/"}) as server,
        proxy(folder, text, server) as outside,
    ):
        page = outside.request("GET", "/ots/", host="example.org")
        assert page.status == 200
        style = re.search(rb'href="([^"]+\.css)"', page.body)
        assert style
        path = style[1].decode().removeprefix("https://example.org")
        assert path.startswith("/ots/static/")
        assert outside.request("GET", path).status == 200
