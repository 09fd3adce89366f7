"""Somebody who tries feed addresses, as fast as one connection allows: python -m tests.benchmarks.guesser PORT SECONDS

Prints how many were tried, and how many of the answers were refusals without a look into the database (429).
"""

import secrets
import socket
import sys
import time


def main(port: int, seconds: float) -> None:
    tried = refused = 0
    ends = time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        while time.monotonic() < ends:
            path = f"/calendars/bench/ics/{secrets.token_urlsafe(24)}"
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            answer = b""
            # Each refusal is one error document.
            while not answer.endswith(b"}]}"):
                received = connection.recv(65_536)
                assert received, answer
                answer += received
            tried += 1
            refused += answer.startswith(b"HTTP/1.1 429")
    print(tried, refused)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
