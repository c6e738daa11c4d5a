# SPDX-License-Identifier: GPL-3.0-or-later
"""What strangers call their jobs and machines, printed for people."""

from support.api import MasterApi


def test_names_of_strangers_order_a_terminal_to_do_nothing(farm, fake, tmp_path):
    # Given a job and a slave whose names would colour the terminal, clear it and add a line
    name = "pc\n\x1b[31mRED\x9b2J"
    safe = "pc\\n\\u{1b}[31mRED\\u{9b}2J"
    blend = fake.build(tmp_path / "a.blend", "1", seconds=0.01)
    master = farm.master()
    slave = farm.slave(master, fake, name=name)
    address = ["--master", master.url]

    # When they are printed, then as text on one line
    sent = farm.cli("submit", blend, *address, "--blender", fake.path, "--name", name, "--wait")
    job = MasterApi(master.url).jobs()[0]["id"]
    told = [farm.cli(*words, *address) for words in (["jobs"], ["slaves"], ["job", job])]
    for done in told:
        assert safe in done.out, done.out
    printed = [sent.out, sent.err, *(done.out for done in told), slave.text(), master.text()]
    assert not [text for text in printed if set(text) & {"\x1b", "\x9b"}]
    assert not [line for text in printed for line in text.splitlines() if line.startswith("RED")]

    # And a program that reads JSON has the name as it is
    answer = farm.cli("jobs", *address, "--json")
    assert answer.json()[0]["name"] == name
    assert "\x9b" not in answer.out
