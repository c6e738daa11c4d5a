# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface's description: valid, true of what the master answers, and the master stands what others make of it."""

import os
import subprocess
import sys

import pytest
from openapi_spec_validator import validate

from support.api import MasterApi
from support.paths import ROOT

# What a stranger's program asks in a moment; `scripts/fuzz-api` asks more.
EXAMPLES = 5


@pytest.fixture
def master(farm, fake, tmp_path):
    """With a slave, a job that is done and one that nobody may render."""
    master = farm.master()
    farm.slave(master, fake)
    farm.submit(master, fake, fake.build(tmp_path / "done.blend", "1-3", seconds=0.1), "--wait")
    farm.submit(master, fake, fake.build(tmp_path / "later.blend", "1-5", seconds=0.1), "--tags", "none")
    return master


def test_the_description_is_valid_and_names_what_the_page_and_wget_use(master):
    api = MasterApi(master.url)
    description = api.get("api/v1/openapi.json").json()
    validate(description)
    assert description["openapi"].startswith("3.1")
    operations = {
        (method, path): operation
        for path, item in description["paths"].items()
        for method, operation in item.items()
    }
    for asked in (
        ("get", "/api/v1/farm"),
        ("get", "/api/v1/events"),
        ("patch", "/api/v1/jobs/{job}"),
        ("get", "/api/v1/jobs/{job}/frames/{frame}/image.png"),
        ("post", "/api/v1/slaves/{slave}/{verb}"),
        ("get", "/{name}"),
        ("get", "/metrics"),
    ):
        assert asked in operations
    for asked, operation in operations.items():
        assert operation["summary"], asked
        assert "default" in operation["responses"], asked
    names = [operation["operationId"] for operation in operations.values()]
    assert len(names) == len(set(names))


def test_strangers_find_no_fault(farm, master):
    """Schemathesis asks what the description allows and what it does not; every answer must be one the description
    names, and none the master's fault."""
    fuzz = [sys.executable, ROOT / "scripts" / "lib" / "fuzz_api.py", master.url, str(EXAMPLES)]
    done = subprocess.run(
        fuzz, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert MasterApi(master.url).get("api/v1/info").json()["service"] == "netrender"
    assert "panicked" not in master.text()
    # Anybody may tell a slave to end, strangers included.
    (slave,) = [service for service in farm.services if service is not master]
    code, _ = farm.stop(slave)
    assert code == 0
