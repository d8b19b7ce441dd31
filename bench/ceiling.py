"""A server that does as little as a server can: to show how fast the generator is when nothing holds it up.

One loop over epoll; whatever arrives is taken to be one whole request and gets the same short answer. `python -m
bench.ceiling` prints its address.
"""

from __future__ import annotations

import select
import socket

ANSWER = b"HTTP/1.1 200 OK\r\nserver: ceiling\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(f"Ready at http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    poller = select.epoll()
    poller.register(listener.fileno(), select.EPOLLIN)
    lines: dict[int, socket.socket] = {}
    while True:
        for number, _ in poller.poll():
            line = lines.get(number)
            if line is None:
                line, _ = listener.accept()
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                lines[line.fileno()] = line
                poller.register(line.fileno(), select.EPOLLIN)
            elif line.recv(65536):
                line.sendall(ANSWER)
            else:
                del lines[number]
                line.close()


if __name__ == "__main__":
    main()
