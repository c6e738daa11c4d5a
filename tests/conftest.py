# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the end-to-end tests, and the rule that a strict run skips nothing."""

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

import blenders
import pytest
from hosts import TwoHosts
from processes import PROGRAM, FarmEnv
from screens import new_screen

ROOT = Path(__file__).resolve().parent.parent
STRICT = os.environ.get("NETRENDER_TEST_STRICT") == "1" or os.environ.get("CI") == "true"


def make_strict(report):
    """Turns a skip into a failure, keeping the reason."""
    if STRICT and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"{reason} (a strict run skips nothing)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    make_strict(report)
    # Fixtures ask at their end whether the test failed, to keep its logs.
    setattr(item, f"report_{report.when}", report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    make_strict(report)
    return report


@pytest.fixture
def farm(tmp_path, request):
    """A FarmEnv; its logs are shown when the test fails."""
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is not built: run scripts/setup --test")
    env = FarmEnv(tmp_path)
    services = env.services
    started = []
    spawn = env.spawn

    def remember(*arguments, **keywords):
        service = spawn(*arguments, **keywords)
        started.append(service)
        return service

    env.spawn = remember
    yield env
    report = getattr(request.node, "report_call", None)
    try:
        env.close()
    except AssertionError:
        report = None
        raise
    finally:
        if report is None or report.failed:
            for service in started:
                state = "" if service in services else " (ended)"
                print(f"\n----- {service.name}{state}: {service.log}\n{service.text()[-6000:]}")


@pytest.fixture(scope="session")
def blender_program():
    """A Blender with a command line (3.4.1 on Debian 12)."""
    return blenders.find_program() or pytest.skip("no Blender on the PATH; set BLENDER")


@pytest.fixture(scope="session")
def blender_module():
    """This Python with bpy (5.0.1)."""
    return blenders.find_module() or pytest.skip("this Python has no module bpy")


@pytest.fixture(params=["blender_program", "blender_module"])
def any_blender(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium; most of a test's time would be its start."""
    try:
        from web import browser
    except ImportError:
        return pytest.skip("this Python has no selenium: run scripts/setup --test")
    if not (browser.PROGRAM and browser.DRIVER):
        pytest.skip("no chromium and chromedriver on the PATH")
    started = browser.Browser()
    with contextlib.closing(started):
        yield started


@pytest.fixture
def browser(chromium, tmp_path, request):
    """A browser as if nobody had used it before; afterwards no page may have complained. What was in sight when the
    test failed is shown."""
    chromium.fresh()
    yield chromium
    report = getattr(request.node, "report_call", None)
    if report is None or report.failed:
        print(f"\n----- in sight: {tmp_path / 'page.png'}\n{chromium.in_sight(tmp_path / 'page.png')}")
    complaints = chromium.complaints()
    chromium.driver.get("about:blank")
    assert not complaints, complaints


@pytest.fixture
def free_port():
    """A port that was free a moment ago, for those who must come back to the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def as_root():
    """For what needs mounts and network namespaces."""
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def two_hosts(as_root, farm):
    """Two machines joined by a wire."""
    with TwoHosts(farm.mark[:6]) as hosts:
        yield hosts
        farm.close()  # before the wire goes
        farm.services.clear()


@pytest.fixture(scope="session")
def screen():
    """DISPLAY of a new X server."""
    if not shutil.which("Xvfb"):
        pytest.skip("no Xvfb")
    with new_screen() as display:
        yield display


@pytest.fixture(scope="session")
def package():
    """(zip, wheel), built as for a try."""
    done = subprocess.run(
        [ROOT / "scripts" / "package", "--debug"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = (ROOT / "dist").glob("*.zip")
    (wheel,) = (ROOT / "dist").glob("*.whl")
    return archive, wheel
