# SPDX-License-Identifier: GPL-3.0-or-later
"""Masters that send their visitors somewhere else, or do not know their own name."""

import http.server
import json
import threading

import pytest

REFUSAL = {
    "code": "foreign_host",
    "message": 'this master does not answer to the name "farm"',
    "hint": "further names are allowed with --allow-host on the master",
}


class Answers(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self):
        server = self.server
        server.asked.append((self.command, self.path, self.headers["Referer"]))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, body = server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer


@pytest.fixture
def server():
    """Starts servers that give one answer to all requests and remember these."""
    servers = []

    def start(status=200, body=b"", **headers):
        made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        made.asked, made.answer = [], (status, headers, body)
        made.url = f"http://127.0.0.1:{made.server_port}"
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(made)
        return made

    yield start
    for made in servers:
        made.shutdown()
        made.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_sent_elsewhere(farm, fake, server, status):
    victim = server()
    master = server(status, b"{}", Location=victim.url + "/latest/meta-data")
    done = farm.cli("jobs", "--master", master.url, code=3)
    assert f"it answered {status}" in done.err
    slave = farm.slave(master.url, fake, wait=False)
    farm.await_line(slave, f"it answered {status}")
    assert len(master.asked) >= 2
    assert victim.asked == []


def test_a_name_that_the_master_does_not_answer_to_is_told(farm, fake, server):
    master = server(421, json.dumps({"error": REFUSAL}).encode())
    done = farm.cli("jobs", "--master", master.url, code=1)
    assert REFUSAL["message"] in done.err
    assert "--allow-host" in done.err
    slave = farm.slave(master.url, fake, wait=False)
    farm.await_line(slave, "--allow-host")
    assert slave.alive()


def test_a_password_in_an_address_is_refused_and_not_repeated(farm):
    done = farm.cli("jobs", "--master", "http://anna:hunter2@127.0.0.1:8000", code=3)
    assert "127.0.0.1:8000" in done.err
    assert "hunter2" not in done.out + done.err
