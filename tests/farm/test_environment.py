# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment variables and configuration files: a variable for a slave never changes a master."""

import re

import pytest

from support.fake_blender import FakeBlender
from support.farm import PROGRAM


@pytest.fixture
def fake(farm, tmp_path):
    return FakeBlender(tmp_path, farm)


@pytest.fixture
def master_with_a_job(farm, fake, tmp_path):
    """Starts a master with these variables, ends it in good order, and returns its log and its folder."""

    def run(*options, **environ):
        farm.environ.update(environ)
        master = farm.master(*options)
        blend = fake.build(tmp_path / "shot.blend", "1", seconds=0.1, noise_bytes=1000)
        farm.submit(master, fake, blend)
        assert farm.stop(master)[0] == 0
        return master.text(), master.data

    return run


def test_a_variable_for_slaves_does_not_clear_a_master(farm, master_with_a_job):
    log, data = master_with_a_job(NETRENDER_CLEAR_ON_EXIT="true")
    assert "NETRENDER_CLEAR_ON_EXIT is ignored" in log
    assert "NETRENDER_MASTER_CLEAR_ON_EXIT" in log
    assert farm.cli("check", "--data", data).out.startswith("1 jobs")


def test_a_key_at_the_top_of_a_configuration_does_not_clear_a_master(farm, master_with_a_job, tmp_path):
    file = tmp_path / "netrender.toml"
    file.write_text("clear-on-exit = true\n[slave]\nthreads = 1\n")
    log, data = master_with_a_job("--config", file)
    assert re.search("clear-on-exit at the top of .* is ignored", log)
    assert farm.cli("check", "--data", data).out.startswith("1 jobs")


def test_the_masters_own_variable_clears_it(farm, master_with_a_job):
    log, data = master_with_a_job(NETRENDER_MASTER_CLEAR_ON_EXIT="true")
    assert "WARN" not in log
    assert not (data / "farm.db").exists()


def test_a_slave_takes_its_own_variables_and_former_ones_with_a_warning(farm, fake, tmp_path):
    master = farm.master()
    command = [PROGRAM, "slave", "--blender", fake.path]
    farm.spawn(
        "slave",
        command,
        NETRENDER_MASTER=master.url,
        NETRENDER_SLAVE_NAME="left",
        NETRENDER_NAME="wrong",
        NETRENDER_SLAVE_DATA=str(tmp_path / "own"),
        NETRENDER_TAGS="gpu",
    )
    slave = farm.await_slave(master.url, "left")
    assert slave["info"]["tags"] == ["gpu"]
    assert (tmp_path / "own" / "slave.key").exists()
    (warning,) = [line for service in farm.services for line in service.lines("WARN")]
    assert "NETRENDER_TAGS is called NETRENDER_SLAVE_TAGS now" in warning


def test_help_names_the_variables(farm):
    for verb, names in {
        "master": ["NETRENDER_MASTER_DATA", "NETRENDER_MASTER_CLEAR_ON_EXIT"],
        "slave": ["NETRENDER_SLAVE_NAME", "NETRENDER_SLAVE_TAGS", "NETRENDER_BLENDER"],
        "submit": ["NETRENDER_JOB_NAME", "NETRENDER_JOB_TAGS"],
    }.items():
        text = farm.cli(verb, "--help").out
        assert all(f"[env: {name}=" in text for name in names), text
