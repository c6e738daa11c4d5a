# SPDX-License-Identifier: GPL-3.0-or-later
"""`scripts/check` fails on what it is there for: each mistake is made in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CARGO_DENY = REPOSITORY / ".venv" / "setup" / "cargo-deny.path"
# scripts/check would set itself up first, in each copy of the tree.
pytestmark = pytest.mark.skipif(
    not CARGO_DENY.exists(), reason="cargo-deny is not there: scripts/check sets it up"
)


class House:
    """A copy of everything that the checks of the structure read."""

    def __init__(self, root):
        self.root = root
        for name in ("Cargo.toml", "Cargo.lock", "pyproject.toml", "deny.toml"):
            shutil.copy(REPOSITORY / name, root)
        for name in ("rust", "addon", "scripts"):
            shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        (root / ".venv").symlink_to(REPOSITORY / ".venv")

    def write(self, path, content):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def depend(self, crate, line):
        """Adds a line to the dependencies of `rust/CRATE`."""
        file = self.root / "rust" / crate / "Cargo.toml"
        file.write_text(file.read_text().replace("[dependencies]\n", f"[dependencies]\n{line}\n", 1))

    def check(self, *names):
        command = [sys.executable, self.root / "scripts" / "lib" / "check.py", *names]
        environ = {**os.environ, "CARGO_NET_OFFLINE": "true"}
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)

    def assert_fails(self, name, *words):
        done = self.check(name)
        assert done.returncode == 1, done.stdout + done.stderr
        for word in words:
            assert word in done.stdout


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def crate(house, name, **modules):
    """A crate of its own in the workspace, of these modules; `lib` is its root."""
    folder = f"rust/{name}"
    package = f'name = "netrender-{name}"\nversion = "0.1.0"\nedition = "2024"\nlicense = "MIT"'
    house.write(f"{folder}/Cargo.toml", f"[package]\n{package}\n\n[dependencies]\n")
    for module, content in modules.items():
        house.write(f"{folder}/src/{module}.rs", content)
    manifest = house.root / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("members = [", f'members = ["{folder}", ', 1))


@pytest.fixture(scope="module")
def circles(tmp_path_factory):
    """The output of one check of a copy with every kind of circle in it."""
    house = House(tmp_path_factory.mktemp("circles"))
    for root in house.root.glob("rust/*/src/lib.rs"):
        root.write_text(root.read_text() + "\nmod circle_a;\nmod circle_b;\n")
        root.with_name("circle_a.rs").write_text("use crate::circle_b::B;\npub struct A(B);\n")
        root.with_name("circle_b.rs").write_text("use super::circle_a::A;\npub struct B(Box<A>);\n")
    crate(
        house,
        "siblings",
        lib="mod first;\nmod second;\n",
        first="use crate::second::Second;\npub struct First(Second);\n",
        second="pub struct Second;\nfn first() -> Option<super::first::First> { None }\n",
    )
    crate(
        house,
        "calls",
        lib="mod child;\nfn run() { child::go(); }\n",
        child="use super::run;\npub fn go() {}\n",
    )
    crate(
        house,
        "names",
        lib="mod child;\npub use child::Name;\npub struct All(Name);\n",
        child="pub struct Name;\nuse crate::All;\n",
    )
    crate(
        house,
        "macros",
        lib='mod child;\nfn say() { print!("{}", child::TEXT); }\n',
        child='use super::*;\npub const TEXT: &str = "";\n',
    )
    # A façade, a sibling by way of it, and what only tests import: no circle.
    crate(
        house,
        "tidy",
        lib="mod below;\nmod above;\npub use below::Below;\npub use above::Above;\npub struct Base;\n",
        below="use super::Base;\npub struct Below(Base);\n#[cfg(test)]\nmod tests { use crate::above::Above; }\n",
        above="use crate::Below;\npub struct Above(Below);\n",
    )
    house.write("addon/netrender_rs/first.py", "from . import second\n")
    house.write(
        "addon/netrender_rs/second.py", "def later():\n    from .first import name\n    return name\n"
    )
    (page,) = house.root.glob("rust/**/web/index.html")
    page.with_name("first.js").write_text('import { b } from "./second.js";\nexport const a = b;\n')
    page.with_name("second.js").write_text('export { a } from "./first.js";\nexport const b = 1;\n')
    done = house.check("circles")
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_a_circle_between_modules_of_a_crate(circles):
    assert (
        "netrender-siblings (lib netrender_siblings): import circle\n"
        "  rust/siblings/src/first.rs:1 imports from rust/siblings/src/second.rs\n"
        "  rust/siblings/src/second.rs:2 imports from rust/siblings/src/first.rs\n"
    ) in circles


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in REPOSITORY.glob("rust/*/Cargo.toml")))
def test_a_circle_in_a_crate_of_ours(circles, folder):
    assert f"  rust/{folder}/src/circle_a.rs:1 imports from rust/{folder}/src/circle_b.rs" in circles


@pytest.mark.parametrize("name", ["calls", "names", "macros"])
def test_a_circle_of_parent_and_child(circles, name):
    assert f"netrender-{name} (lib netrender_{name}): import circle" in circles


def test_what_is_no_circle(circles):
    assert "netrender-tidy" not in circles


def test_a_circle_in_the_addon(circles):
    assert "addon/netrender_rs/second.py:2 imports from addon/netrender_rs/first.py" in circles


def test_a_circle_in_the_web_monitor(circles):
    assert re.search(r"web/second.js:1 imports from .*web/first.js", circles)


def test_master_that_imports_slave(house):
    house.depend("master", "netrender-slave.workspace = true")
    house.assert_fails("layers", "netrender-master must not depend on netrender-slave")


def test_tokio_in_core(house):
    house.depend("core", "tokio.workspace = true")
    house.assert_fails("layers", "netrender-core is pure and must not reach tokio")


def test_a_crate_without_a_place(house):
    crate(house, "trial", lib="")
    house.assert_fails("layers", "netrender-trial is not in Cargo.toml's [workspace.metadata.layers.allowed]")


def test_an_unknown_licence(house):
    house.write("strange/src/lib.rs", "")
    house.write(
        "strange/Cargo.toml", '[package]\nname = "strange"\nversion = "1.0.0"\nlicense = "SSPL-1.0"\n'
    )
    house.depend("film", 'strange = { path = "../../strange" }')
    house.assert_fails("licences", "SSPL-1.0", "rejected: license is not explicitly allowed")


def test_goes_on_after_a_failing_check(house):
    house.write("addon/netrender_rs/first.py", "from .first import (\n")
    done = house.check("circles", "layers")
    lines = [line.split()[0::3] for line in done.stdout.splitlines() if " s  " in line]
    assert lines == [["FAILED", "circles"], ["ok", "layers"]]
    assert done.stdout.splitlines()[-1] == "1 passed, 1 failed"
    assert done.returncode == 1


def test_fix_applies_the_formatter(house):
    house.write("scripts/lib/ugly.py", "figures = ( 1,2 )\n")
    house.assert_fails("ruff-format", "+figures = (1, 2)")
    assert house.check("--fix", "ruff-format").returncode == 0
    assert (house.root / "scripts" / "lib" / "ugly.py").read_text() == "figures = (1, 2)\n"
    assert house.check("ruff-format").returncode == 0
