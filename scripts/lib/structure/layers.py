# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of the workspace's crates, as Cargo.toml's `[workspace.metadata.layers]` declares them.

`allowed` lists for each crate of the workspace the others that it may depend on; a crate that is
missing there is a problem, so that a new one is given its place. `pure` lists crates that must not
reach any crate of `impure`, directly or through others. Dependencies of tests count as well, except
for `pure`: what tests need is not in the product.
"""

import json
import subprocess
from collections import deque
from pathlib import Path
from typing import Any

import tomllib


def metadata(root: Path, resolve: bool) -> dict[str, Any]:
    command = ["cargo", "metadata", "--format-version", "1", "--all-features"]
    if not resolve:
        command.append("--no-deps")
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def problems(root: Path) -> list[str]:
    law = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["metadata"]["layers"]
    told = metadata(root, resolve=True)
    members = {
        package["id"]: package for package in told["packages"] if package["id"] in told["workspace_members"]
    }
    return [*arrows(law["allowed"], members), *purity(law, told, members)]


def arrows(allowed: dict[str, list[str]], members: dict[str, Any]) -> list[str]:
    names = {package["name"] for package in members.values()}
    found = [f"layers: {name} is not in the workspace" for name in sorted(allowed.keys() - names)]
    for package in members.values():
        name = package["name"]
        if name not in allowed:
            found.append(f"layers: {name} is not in Cargo.toml's [workspace.metadata.layers.allowed]")
            continue
        used = {dependency["name"] for dependency in package["dependencies"]} & names
        found += [f"layers: {name} must not depend on {other}" for other in sorted(used - set(allowed[name]))]
    return found


def purity(law: dict[str, Any], told: dict[str, Any], members: dict[str, Any]) -> list[str]:
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    names = {package["id"]: package["name"] for package in told["packages"]}
    found = []
    for start in (id_ for id_, package in members.items() if package["name"] in law["pure"]):
        ways = {start: [names[start]]}
        waiting = deque([start])
        while waiting:
            node = waiting.popleft()
            for dependency in nodes[node]["deps"]:
                target = dependency["pkg"]
                built_in = any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
                if built_in and target not in ways:
                    ways[target] = [*ways[node], names[target]]
                    waiting.append(target)
        found += [
            f"layers: {way[0]} is pure and must not reach {way[-1]}: {' -> '.join(way)}"
            for way in ways.values()
            if way[-1] in law["impure"]
        ]
    return found
