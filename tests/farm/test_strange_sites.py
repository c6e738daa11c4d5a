# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that a browser sends for a page of another site: by a name that was made to point here, or across sites.
What Chromium itself does is in tests/web/test_strange_pages.py.
"""

import http.client
import json
from urllib.parse import urlsplit

import pytest

from support.api import MasterApi

NOTHING = b'{"digests": []}'
WRITES = ("post", "put", "patch", "delete")
FOREIGN = ("evil.example", "127.0.0.1.nip.io:8000", "localhost.evil.example", "anna@localhost")
OTHER_SITES = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
)


@pytest.fixture
def master(farm):
    return farm.master(name="Studio")


def own(master):
    """The host and port that a request to it names."""
    return urlsplit(master.url).netloc


def ask(master, method, path, headers=None, body=b""):
    """(status, error or None, headers) of a request with these headers and no others but its length."""
    connection = http.client.HTTPConnection(own(master), timeout=30)
    connection.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
    for name, values in (headers or {}).items():
        for value in [values] if isinstance(values, str) else values:
            connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    if answer.headers.get_content_type() == "text/event-stream":
        connection.close()
        return answer.status, None, answer.headers
    text = answer.read()
    connection.close()
    is_error = answer.status >= 400 and method != "HEAD"
    return answer.status, json.loads(text)["error"] if is_error else None, answer.headers


def routes(master):
    """(method, path) of the whole interface, with numbers in the paths."""
    described = MasterApi(master.url).get("api/v1/openapi.json").json()
    for path, methods in described["paths"].items():
        filled = path.replace("{digest}", "0" * 64)
        for name in ("{job}", "{frame}", "{slave}", "{number}"):
            filled = filled.replace(name, "1")
        for method in methods:
            yield method, filled.replace("{", "").replace("}", "")
    yield from (
        ("get", path)
        for path in ("/", "/plain", "/plain/1", "/web/app.js", "/api/v1/openapi.json", "/nothing")
    )


def test_no_route_answers_to_a_foreign_name(master):
    count = 0
    for method, path in routes(master):
        for host in FOREIGN:
            status, error, headers = ask(master, method.upper(), path, {"Host": host})
            assert (status, error["code"]) == (421, "foreign_host"), (method, path, host)
            assert "--allow-host" in error["hint"]
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        count += 1
    assert count > 50


def test_a_request_names_exactly_one_host(master):
    for hosts in ((), (own(master), own(master)), ("",)):
        status, error, _ = ask(master, "GET", "/api/v1/info", {"Host": hosts})
        assert status == 400 or (status, error["code"]) == (421, "foreign_host"), hosts
    assert ask(master, "GET", "http://evil.example/api/v1/info", {"Host": own(master)})[0] == 421
    assert ask(master, "GET", f"http://{own(master)}/api/v1/info", {"Host": own(master)})[0] == 200


def test_no_route_that_changes_something_hears_other_sites(master):
    count = 0
    for method, path in routes(master):
        for headers in OTHER_SITES:
            status, error, _ = ask(master, method.upper(), path, headers)
            if method in WRITES:
                assert (status, error["code"]) == (403, "cross_site"), (method, path, headers)
            else:
                assert status not in (403, 421), (method, path, headers)
        count += method in WRITES
    assert count > 20


def test_this_sites_own_pages_and_programs_are_heard(master):
    json_body = {"Content-Type": "application/json"}
    for headers in (
        {},
        {"Origin": f"http://{own(master)}", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ):
        status, error, _ = ask(master, "POST", "/api/v1/blobs/missing", {**json_body, **headers}, NOTHING)
        assert status == 200, (headers, error)


def test_json_is_called_so(master):
    for kind in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        status, error, _ = ask(master, "POST", "/api/v1/blobs/missing", kind, NOTHING)
        assert (status, error["code"]) == (415, "not_json"), kind
        assert "Content-Type: application/json" in error["message"]
    for kind in ("application/json", "Application/JSON; charset=utf-8"):
        assert ask(master, "POST", "/api/v1/blobs/missing", {"Content-Type": kind}, NOTHING)[0] == 200


def test_a_master_has_the_names_it_is_given(farm):
    options = ("--allow-host", "farm.example,other")
    master = farm.master(*options, name="Studio")
    for name in ("Farm.Example", "other"):
        assert ask(master, "GET", "/api/v1/info", {"Host": f"{name}:8000"})[0] == 200
    assert ask(master, "GET", "/api/v1/info", {"Host": "evil.example"})[0] == 421
