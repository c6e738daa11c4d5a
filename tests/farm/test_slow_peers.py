# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that open connections and say nothing, or half a sentence."""

import contextlib
import http.client
import socket
import time
from urllib.parse import urlsplit

FILES = 100


def test_slow_peers_keep_nobody_out(farm):
    # Given a master that may open few files
    farm.prefix = ["sh", "-c", f'ulimit -n {FILES}; exec "$@"', "sh"]
    master = farm.master()
    address = urlsplit(master.url)
    # When somebody opens many connections and leaves each request unfinished
    half = [socket.create_connection((address.hostname, address.port), 10) for _ in range(2 * FILES)]
    for connection in half:
        connection.sendall(b"GET /api/v1/info HTTP/1.1\r\nHost: local")
    # Then another machine is answered at once
    began = time.monotonic()
    other = http.client.HTTPConnection(address.netloc, timeout=30, source_address=("127.0.0.2", 0))
    other.request("GET", "/api/v1/info")
    assert other.getresponse().status == 200
    assert time.monotonic() - began < 1
    farm.await_line(master, "too many connections")
    # And those who say nothing are sent away in the end
    for connection in half:
        connection.settimeout(60)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        connection.close()
    again = http.client.HTTPConnection(address.netloc, timeout=30)
    again.request("GET", "/api/v1/info")
    assert again.getresponse().status == 200
