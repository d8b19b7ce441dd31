"""nginx with a certificate for a day, in front of a server that speaks plain http."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import needs
from tests.cli.running import until

CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        client_max_body_size 1m;
        location / {{
            proxy_pass {behind};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def certificate(folder: Path, host: str) -> Path:
    """A key and its certificate in one file, signed by nobody but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{host}.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@contextlib.contextmanager
def tls_proxy(folder: Path, port: int, behind: str, certificate: Path) -> Iterator[None]:
    """`behind` is the address of the server, of which the host counts: paths are passed on as they are."""
    folder = folder / "nginx"
    folder.mkdir()
    config = folder / "nginx.conf"
    host = "/".join(behind.split("/")[:3])
    config.write_text(CONFIG.format(folder=folder, port=port, behind=host, certificate=certificate))
    errors = folder / "nginx.err"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [needs.nginx(), "-p", folder, "-e", "stderr", "-c", config],
            stderr=stderr,
            start_new_session=True,
        )
    try:

        def listening() -> bool:
            assert process.poll() is None, errors.read_text()
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                return True
            return False

        until(listening)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
