# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the end-to-end tests; their markers, which follow from the fixtures; their order and isolation when
several processes run them; and the rule that a strict run skips nothing."""

import contextlib
import os
import shutil
import socket
import subprocess

import pytest

from support.blender import find_module, find_program
from support.fake_blender import FakeBlender
from support.farm import PROGRAM, FarmEnv
from support.isolation import enter_own_network, locked
from support.network_namespaces import TwoHosts
from support.paths import ROOT
from support.screens import new_screen

STRICT = os.environ.get("NETRENDER_TEST_STRICT") == "1" or os.environ.get("CI") == "true"

# {marker: the fixtures whose use sets it}. Their meaning is told in pyproject.toml.
MARKERS = {
    "blender": {"any_blender", "blender_program", "blender_module"},
    "gui": {"screen"},
    "web": {"chromium"},
    "root": {"as_root"},
    "slow": {"slow", "package"},
    "quiet": {"quiet"},
}


def pytest_configure():
    enter_own_network()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items):
    """Sets the markers and the order: what takes long comes first, so that no process is left with it at the end, and
    what needs the machine for itself comes last."""
    for item in items:
        for marker, fixtures in MARKERS.items():
            if not fixtures.isdisjoint(item.fixturenames):
                item.add_marker(marker)
        if group := shared_by_group(item):
            item.add_marker(pytest.mark.xdist_group(group))
    yield
    items.sort(
        key=lambda item: [marker in item.keywords for marker in ("quiet", "slow", "gui")], reverse=True
    )
    items.sort(key=place_in_order)


def place_in_order(item):
    is_quiet, is_slow, has_windows = (marker in item.keywords for marker in ("quiet", "slow", "gui"))
    return is_quiet, not is_slow, not has_windows


def shared_by_group(item):
    """The name that tests have in common which use one instance of a fixture of their module, or the package; "" for
    other tests. One process runs them all, so that the fixture is set up once."""
    if "package" in item.fixturenames:
        return "package"
    shared = {
        name
        for name, definitions in item._fixtureinfo.name2fixturedefs.items()
        if definitions[-1].scope == "module" and name != "any_blender"
    }
    if "quiet" in item.keywords or not shared:
        return ""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return "-".join([item.nodeid.split("::")[0], *sorted(shared), parameters.get("any_blender", "")])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    with locked("machine", shared="quiet" not in item.keywords):
        return (yield)


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


@pytest.fixture(scope="session")
def strict():
    """Whether a run skips nothing."""
    return STRICT


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


@pytest.fixture
def fake(farm):
    """The fake Blender of `farm`."""
    return FakeBlender(farm.folder, farm)


@pytest.fixture(scope="module")
def lasting_farm(tmp_path_factory):
    """One FarmEnv for those tests of a module that leave nothing behind in it."""
    env = FarmEnv(tmp_path_factory.mktemp("farm"))
    yield env
    env.close()


@pytest.fixture(scope="module")
def lasting_master(lasting_farm):
    return lasting_farm.master()


@pytest.fixture(scope="session")
def blender_program():
    """A Blender with a command line (3.4.1 on Debian 12)."""
    with contextlib.closing(find_program() or pytest.skip("no Blender on the PATH; set BLENDER")) as blender:
        yield blender


@pytest.fixture(scope="session")
def blender_module():
    """This Python with bpy (5.0.1)."""
    with contextlib.closing(find_module() or pytest.skip("this Python has no module bpy")) as blender:
        yield blender


@pytest.fixture(scope="module", params=["blender_program", "blender_module"])
def any_blender(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium; most of a test's time would be its start."""
    try:
        from support import browser
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
def slow():
    """Marks a test that lasts more than 15 s whatever the machine."""


@pytest.fixture
def quiet():
    """Marks a test of how long something takes: it runs while no other test does (pytest_runtest_protocol)."""


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
def package(tmp_path_factory):
    """(zip, wheel), built as for a try."""
    folder = tmp_path_factory.mktemp("package")
    with locked("package"):
        done = subprocess.run(
            [ROOT / "scripts" / "package", "--debug"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for pattern in ("*.zip", "*.whl"):
            (built,) = (ROOT / "dist").glob(pattern)
            shutil.copy(built, folder)
    return next(folder.glob("*.zip")), next(folder.glob("*.whl"))
