# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of another site in a real browser: what they send to the farm changes nothing, and they see nothing of it."""

import functools
import http.server
import json
import threading

import pytest

from support.farm import wait_until

PAGE = """<!doctype html><meta charset=utf-8><title>waiting</title><img id=thumb><script>
const farm = "FARM"
const send = (name, path, options) => fetch(farm + path, {mode: "no-cors", ...options}).then(() => name, () => name)
const tries = [
    send("cancel", "/api/v1/jobs/1/cancel", {method: "POST"}),
    send("submit", "/api/v1/jobs", {method: "POST", body: JSON.stringify(SPEC)}),
    send("untyped", "/api/v1/jobs", {method: "POST", body: new Blob([JSON.stringify(SPEC)])}),
    send("beacon", "/api/v1/jobs/1/pause", {method: "POST", keepalive: true}),
    new Promise((done) => {
        const form = document.createElement("form")
        Object.assign(form, {method: "post", action: farm + "/api/v1/jobs/1/pause", target: "frame"})
        const frame = document.createElement("iframe")
        Object.assign(frame, {name: "frame", onload: () => done("form")})
        document.body.append(frame, form)
        form.submit()
    }),
    new Promise((done) => {
        const image = document.getElementById("thumb")
        image.onload = () => done("image seen")
        image.onerror = () => done("image kept")
        image.src = farm + "/thumb_1_1.jpg"
    }),
    fetch(farm + "/api/v1/farm").then(() => "read", () => "unread"),
]
Promise.all(tries).then((ends) => { document.title = JSON.stringify(ends) })
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def another_site(tmp_path):
    """Serves a page: `another_site(text)` is its port."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def publish(text):
        (folder / "index.html").write_text(text)
        return server.server_port

    yield publish
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # same site, and cross-site
def test_a_page_of_another_site_does_nothing_and_sees_nothing(jobs, browser, another_site, host):
    # Given a job with pictures, and a page elsewhere that knows the farm's address
    job = jobs.submit("Barn", "1")
    assert jobs.api.wait(job)["state"] == "finished"
    before = jobs.api.job(job)
    spec = json.dumps({**before["spec"], "name": "sent by a page", "key": "0" * 32})
    port = another_site(PAGE.replace("FARM", jobs.url).replace("SPEC", spec))
    # When it is opened
    browser.driver.get(f"http://{host}:{port}/")
    wait_until(lambda: browser.driver.title not in ("", "waiting"), 30, "the page has tried everything")
    # Then the farm is as it was, and the page has seen nothing of it
    ends = json.loads(browser.driver.title)
    assert ends == ["cancel", "submit", "untyped", "beacon", "form", "image kept", "unread"]
    after = jobs.api.job(job)
    assert (after["state"], after["spec"]) == (before["state"], before["spec"])
    assert [one["name"] for one in jobs.api.jobs()] == ["Barn"]
    assert browser.complaints()


def test_a_page_whose_name_was_made_to_point_here_is_refused(queue, browser):
    port = queue.url.rsplit(":", 1)[1]
    browser.driver.get(
        f"http://evil.localhost:{port}/plain"
    )  # Chromium takes every such name for this machine
    assert "does not answer to the name" in browser.driver.page_source
    assert "Barn" not in browser.driver.page_source
    # Its icon is asked for last, and refused as well
    wait_until(lambda: any("icon.svg" in one for one in browser.complaints()), 30, "the browser notes it")
    browser.driver.get("about:blank")
    browser.complaints()
