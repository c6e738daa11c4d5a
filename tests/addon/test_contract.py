# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python module is what its .pyi says: the same names and methods, and dictionaries of these very shapes."""

import ast
import importlib.machinery
import importlib.util
import time
import types
import typing
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import netrender_native as native
import pytest

from support import fake_blender, stub_native
from support.api import FakeSlave, MasterApi
from support.farm_of_jobs import fail
from support.paths import ROOT

PATH = ROOT / "rust" / "py" / "netrender_native.pyi"
TREE = ast.parse(PATH.read_text(encoding="utf-8"))


def load_stub():
    """The .pyi as a module: it is plain Python."""
    loader = importlib.machinery.SourceFileLoader("netrender_native_stub", str(PATH))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


STUB = load_stub()
SHAPES = {name for name, value in vars(STUB).items() if typing.is_typeddict(value)}


def public(names):
    return {name for name in names if not name.startswith("_")}


def test_module_and_stub_have_the_same_names():
    stub = {node.name for node in TREE.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    # maturin's package holds the compiled module beside the names it re-exports.
    assert public(dir(native)) - {"netrender_native"} == stub - SHAPES


CLASSES = {
    node.name: node for node in TREE.body if isinstance(node, ast.ClassDef) and node.name not in SHAPES
}


@pytest.mark.parametrize("name", [name for name in CLASSES if not name.endswith("Error")])
def test_classes_have_the_methods_of_the_stub(name):
    methods = public(method.name for method in CLASSES[name].body if isinstance(method, ast.FunctionDef))
    assert public(dir(getattr(native, name))) == methods


@pytest.mark.parametrize("name", sorted(name for name in public(dir(native)) if name.endswith("Error")))
def test_every_error_is_a_netrender_error(name):
    assert issubclass(getattr(native, name), native.NetrenderError)


class Shapes:
    """Compares values with the stub's types. `misfits` says what differs, `seen` which shapes were compared."""

    def __init__(self):
        self.misfits = set()
        self.seen = set()

    def check(self, value, kind, where):
        origin, arguments = get_origin(kind), get_args(kind)
        if kind is Any:
            return
        if typing.is_typeddict(kind):
            self.check_dict(value, kind)
        elif origin is Literal:
            self.expect(value in arguments, where, value)
        elif origin is types.UnionType:
            kind, nothing = arguments
            assert nothing is type(None), f"only X | None is understood: {where}"
            if value is not None:
                self.check(value, kind, where)
        elif origin is list:
            self.expect(type(value) is list, where, value)
            for one in value:
                self.check(one, arguments[0], where)
        elif origin is tuple:
            self.expect([type(one) for one in value] == list(arguments), where, value)
        else:
            is_other = kind is int and isinstance(value, bool)
            self.expect(isinstance(value, origin or kind) and not is_other, where, value)

    def check_dict(self, value, kind):
        name, hints = kind.__name__, get_type_hints(kind)
        self.seen.add(name)
        self.misfits |= {f"{name} lacks {key!r}" for key in kind.__required_keys__ - value.keys()}
        self.misfits |= {f"{name} has {key!r}" for key in value.keys() - hints.keys()}
        for key in hints.keys() & value.keys():
            self.check(value[key], hints[key], f"{name}[{key!r}]")

    def expect(self, fits, where, value):
        if not fits:
            self.misfits.add(f"{where} is {value!r}")

    def look(self, handle, method, *arguments, **keywords):
        """What a method returns, compared with what the stub says that it does."""
        value = getattr(handle, method)(*arguments, **keywords)
        declared = getattr(getattr(STUB, type(handle).__name__), method)
        self.check(value, get_type_hints(declared)["return"], method)
        return value


def wait_for(look, is_so, seconds=60):
    """The first answer that is so."""
    end = time.monotonic() + seconds
    while not is_so(answer := look()):
        assert time.monotonic() < end, answer
        time.sleep(0.02)
    return answer


def is_over(transfer):
    return transfer["state"] != "running"


@pytest.fixture
def blender(farm, tmp_path, monkeypatch):
    """A fake one, for the farm and for services of this process."""
    blender = fake_blender.FakeBlender(tmp_path, farm)
    monkeypatch.setenv("CHAOS_LEDGER", farm.environ["CHAOS_LEDGER"])
    monkeypatch.setenv("XDG_CACHE_HOME", farm.environ["XDG_CACHE_HOME"])
    yield blender
    native.end_threads()


def look_at_services(shapes, blender, folder):
    """A master and a slave of this process, before they start and afterwards."""
    master = native.Master(str(folder / "here"), host="127.0.0.1", port=0)
    slave = native.Slave(str(folder / "slave"), str(blender.path))
    for _ in range(2):
        for handle in (master, slave):
            shapes.look(handle, "snapshot")
            handle.start()
    shapes.look(master, "changes")
    found = wait_for(native.discover, bool)
    shapes.check(found, list[STUB.FoundMaster], "discover")
    slave.stop()
    master.stop()


def fail_and_share(api):
    """A job with a frame that fails, and one of whose frame slaves hold and hand in some samples. Their numbers."""
    manifest = api.put_blend(b"BLENDER of a test")
    size = {"width": fake_blender.WIDTH, "height": fake_blender.HEIGHT, "blender": fake_blender.VERSION[:2]}
    failed = api.submit(manifest, **size).json()["job"]
    fail(SimpleNamespace(api=api), failed, "no light", b"the log")
    split = {"split": "samples", "samples": {"samples": 64, "is_subset": True}}
    shared = api.submit(manifest, **size, **split).json()["job"]
    slaves = [FakeSlave(api, name, blender=fake_blender.VERSION) for name in ("ben", "carl")]
    grant, _ = [slave.lease() for slave in slaves]
    film = api.put_blob(fake_blender.film("look", 1))
    part = {"lease": grant["lease"], "share": grant["share"], "view": None}
    result = {"slave": slaves[0].id, "job": shared, "frame": 1, "film": film, "preview": None, "log": None}
    api.post("api/v1/results", {**result, "seconds": 1.0, "part": part})
    return failed, shared


def test_dictionaries_have_the_shapes_of_the_stub(farm, blender, tmp_path):
    shapes = Shapes()

    def wait_until(is_so, *asked):
        return wait_for(lambda: shapes.look(*asked), is_so)

    look_at_services(shapes, blender, tmp_path)

    # Given a client, looked at before it is connected and afterwards
    master = farm.master()
    slave = farm.slave(master, blender)
    client = native.Client(master.url)
    shapes.look(client, "snapshot")
    shapes.look(client, "changes")
    client.start()
    wait_until(lambda seen: seen["state"] == "connected", client, "snapshot")

    # When it sends a job and fetches its frames, and checks one that lacks a file
    blend = blender.build(tmp_path / "shots" / "good.blend", "1-2")
    request = {"name": "good", "blend": str(blend), "source": str(blend), "program": str(blender.path)}
    request |= {"frames": "1-2", "scene": None, "engine": None, "tags": [], "split": "off"}
    shapes.check(request, STUB.JobRequest, "request")
    sent = wait_until(is_over, client.submit(request), "snapshot")
    assert sent["state"] == "done", sent
    wait_until(lambda seen: seen["state"] == "finished", client, "job", sent["job"])
    fetched = client.fetch(sent["job"], "", "exr", str(tmp_path / "frames"))
    fetched = wait_until(is_over, fetched, "snapshot")
    assert len(fetched["files"]) == 2, fetched
    (blend.parent / "wood.png").unlink()
    checked = wait_until(is_over, client.check(request), "snapshot")
    assert checked["report"]["problem_count"] == 1, checked

    # And frames fail, and are shared
    farm.stop(slave)
    failed, shared = fail_and_share(MasterApi(master.url))
    shapes.check(settings := {"priority": 60}, STUB.JobSettings, "settings")
    client.edit(failed, settings)

    # Then all that it says of them has the shape that the stub says
    for job in (sent["job"], failed, shared):
        shapes.look(client, "job", job)
        shapes.look(client, "frame", job, 1)
        shapes.look(client, "job_summary", job)
    wait_until(lambda seen: len(seen["jobs"]) == 3, client, "snapshot")
    shapes.look(client, "changes", anew=True)
    (tmp_path / "passes").mkdir()
    size = fake_blender.WIDTH, fake_blender.HEIGHT
    passes = native.unfold(fetched["files"][0], *size, str(tmp_path / "passes"))
    shapes.check(passes, list[STUB.UnfoldedPass], "unfold")
    client.stop()
    shapes.check(native.slave_settings(), list[STUB.SettingInfo], "slave_settings")

    assert shapes.misfits == set()
    bases = {"ListChanges", "MasterHead", "FarmHead", "RequiredOfJob"}
    assert SHAPES - shapes.seen == bases, "the test looks at too little"


def test_the_farm_of_the_add_ons_tests_has_the_same_shapes(monkeypatch):
    assert stub_native.slave_settings() == native.slave_settings()
    shapes = Shapes()
    monkeypatch.setenv("STUB_SECONDS", "1")
    monkeypatch.setattr(stub_native, "jobs", [stub_native.new_job(1)])
    keywords = {"port": 8000, "name": "", "master": ""}
    for handle in (stub_native.Master("data", **keywords), stub_native.Client()):
        shapes.look(handle, "snapshot")
        shapes.look(handle, "changes")
    shapes.look(stub_native.Slave("data", **keywords), "snapshot")
    shapes.look(stub_native.Transfer(1), "snapshot")
    shapes.look(stub_native.Client(), "job_summary", 1)
    shapes.check(stub_native.discover(0), list[STUB.FoundMaster], "discover")
    assert shapes.misfits == set()
