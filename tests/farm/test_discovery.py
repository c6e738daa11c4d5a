# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding masters: on this machine, and from another one across a real (virtual) wire."""

import statistics

from support import film
from support.farm import PROGRAM

PROMPT_S = 0.3
NO_MASTER = 3


def find(farm, name):
    """The entry of the master called `name`; other masters may be about on this machine."""
    done = farm.run([PROGRAM, "discover", "--json"])
    assert done.code in (0, NO_MASTER), done.err
    found = [m for m in done.json() if m["name"] == name]
    return (found[0] if found else None), done.seconds


def assert_found_promptly(farm, name, url):
    seconds = []
    for _ in range(20):
        found, took = find(farm, name)
        assert found is not None, f"{name} was not found"
        assert found["url"].rstrip("/") == url.rstrip("/")
        seconds.append(took)
    median = statistics.median(seconds)
    print(f"netrender discover: median {median * 1000:.0f} ms of {len(seconds)}")
    assert median < PROMPT_S


def test_a_master_on_this_machine_is_found(farm, quiet, tmp_path):
    name = f"loop-{farm.mark[:8]}"
    master = farm.master(name=name, broadcast=True)
    found, _ = find(farm, name)
    assert {"id", "name", "url", "host", "port", "protocol", "version"} <= set(found)
    assert_found_promptly(farm, name, master.url)


def test_a_silent_master_is_not_found(farm):
    name = f"silent-{farm.mark[:8]}"
    farm.master(name=name)
    assert find(farm, name)[0] is None


def test_two_masters_are_both_found(farm):
    names = [f"{which}-{farm.mark[:8]}" for which in ("one", "two")]
    for name in names:
        farm.master(name=name, broadcast=True, data=farm.folder / name)
    heard = {m["name"] for m in farm.cli("discover", "--json").json()}
    assert set(names) <= heard


def test_a_master_on_another_machine_is_found_and_used(quiet, farm, two_hosts, blender_program, tmp_path):
    name = f"wire-{farm.mark[:8]}"
    two_hosts.on(farm, two_hosts.there)
    farm.master(name=name, host="", broadcast=True)
    port = farm.services[0].url.rsplit(":", 1)[1].strip("/")

    # From the other end of the wire, its address there is heard
    two_hosts.on(farm, two_hosts.here)
    assert_found_promptly(farm, name, f"http://{two_hosts.address(two_hosts.there)}:{port}")

    # And nobody needs to type it: slave and client find it too
    farm.spawn(
        "slave",
        [PROGRAM, "slave", "--data", tmp_path / "slave-data", "--blender", blender_program.path],
    )
    blend = blender_program.build(tmp_path / "shot.blend")
    farm.cli(
        "submit", blend, "--frames", "3", "--blender", blender_program.path, "--wait", "--output", tmp_path / "frames"
    )  # fmt: skip
    film.assert_not_blank(film.in_folder(tmp_path / "frames")[3])
