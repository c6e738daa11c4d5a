# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what a farm renders with what this machine renders. See docs/testing.md.

Outcome of a frame: `equal` (bit by bit to a local render), `noise` (no further from it than Blender's own renders are
from each other), `said` (it differs, and the verdict before sending had a finding that says so), `SILENT` (it differs,
and nothing was said). Of a file, with the reason: `refused`, `failed`, and `skipped`: this machine does not render it
either.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import demo_farm
import netrender_native

from truth.comparison import compare_films, compare_outputs
from truth.farm import ROOT, Farm

IN_BLENDER = Path(__file__).with_name("in_blender.py")
LOOK_S = 0.2
SILENT, UNUSABLE = 1, 2
WARNING = ("wrong", "may_differ")


class AuditError(Exception):
    """Why a file could not be tried, in a sentence."""


class NotHere(AuditError):
    """Why there is nothing to compare with: this machine renders no frame of the file."""


@dataclass
class Row:
    """The outcome of a frame, or of a whole file."""

    file: str
    frame: int | None
    verdict: str
    outcome: str
    findings: list[dict[str, str]] = field(default_factory=list)
    difference: float = 0.0
    noise: float = 0.0
    apart: list[str] = field(default_factory=list)
    reason: str = ""


class Audit:
    def __init__(self, options: argparse.Namespace, farm: Farm, folder: Path):
        self.options, self.farm, self.folder = options, farm, folder
        self.client = netrender_native.Client(farm.url)
        self.client.start()
        self.number = 0

    def rows(self, blend: Path) -> list[Row]:
        self.number += 1
        folder = self.folder / str(self.number)
        folder.mkdir()
        try:
            return self.audit(blend, folder)
        except AuditError as error:
            outcome = "skipped" if isinstance(error, NotHere) else "failed"
            return [Row(str(blend), None, "", outcome, reason=str(error))]

    def audit(self, blend: Path, folder: Path) -> list[Row]:
        info = self.render(blend, folder / "local", self.options.frames)
        frames = ",".join(map(str, info["frames"]))
        self.render(blend, folder / "again", frames)
        request = self.request(blend, folder, frames)
        report = self.follow(self.client.check(request))["report"]
        verdict, findings = report["verdict"], report["findings"]
        if verdict == "wrong" and not self.options.send_anyway:
            return [Row(str(blend), None, verdict, "refused", findings, reason=reason(findings))]
        job = self.follow(self.client.submit({**request, "send_anyway": True}))["job"]
        failed = self.play(job, blend, folder)
        rows = []
        for frame in info["frames"]:
            row = Row(str(blend), frame, verdict, "", findings)
            if frame in failed:
                row.outcome, row.reason = "failed", failed[frame]
            else:
                self.compare(row, frame, folder)
            rows.append(row)
        return rows

    def render(self, blend: Path, folder: Path, frames: str | None) -> dict[str, Any]:
        """Renders frames locally into the folder, and tells what they were."""
        folder.mkdir()
        info = folder / "info.json"
        given = {"frames": frames, "folder": str(folder), "info": str(info), "copy": None}
        self.run_blender(folder, {"blend": str(blend), **given})
        return json.loads(info.read_text())

    def run_blender(self, folder: Path, request: dict[str, Any]) -> None:
        given = {"percent": self.options.percent, "samples": self.options.samples}
        path, log = folder / "request.json", folder / "blender.log"
        path.write_text(json.dumps({**request, **given, "scripts": self.options.allow_scripts}))
        program = self.options.blender
        command = [program, IN_BLENDER, "--", path]
        if not Path(program).name.startswith("python"):
            scripts = "-y" if self.options.allow_scripts else "-Y"
            command = [
                program,
                "-b",
                "-noaudio",
                scripts,
                "--python-exit-code",
                "1",
                "--python",
                *command[1:],
            ]
        with log.open("wb") as file:
            done = subprocess.run(list(map(str, command)), stdout=file, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            said = re.search(r"Error: (.+)", log.read_text(errors="replace"))
            why = said[1] if said else f"ended with {done.returncode}: {demo_farm.tail(log, 1)}"
            raise NotHere(f"this machine's Blender: {why}")

    def request(self, blend: Path, folder: Path, frames: str) -> Any:
        """What the add-on would ask: the file, or a copy of it with other settings."""
        copy = blend
        if self.options.percent or self.options.samples:
            copy = folder / blend.name
            given = {"frames": None, "folder": None, "info": None, "copy": str(copy)}
            self.run_blender(folder, {"blend": str(blend), **given})
        return {
            "name": blend.stem.strip()[:100] or "truth", "blend": str(copy), "source": str(blend),
            "program": self.options.blender, "frames": frames, "scene": None, "engine": None,
            "split": self.options.split,
        }  # fmt: skip

    def follow(self, transfer: Any) -> Any:
        """The last snapshot of a transfer that is done."""
        while not transfer.wait(LOOK_S):
            self.farm.check_alive()
        snapshot = transfer.snapshot()
        if snapshot["state"] != "done":
            raise AuditError(snapshot["error"] or "the farm took nothing")
        return snapshot

    def play(self, job: int, blend: Path, folder: Path) -> dict[int, str]:
        """Lets slaves that see no original render the job, and fetches it. Returns why frames failed."""
        hidden = {Path(path).parent for path in self.farm.files_of(job)} | {blend.parent}
        hidden |= {Path(path).resolve() for path in self.options.files if Path(path).is_dir()}
        slaves = self.farm.slaves(
            job, [folder for folder in hidden if folder != Path("/") and folder.is_dir()]
        )
        try:
            while (detail := self.client.job(job))["state"] not in ("finished", "failed"):
                self.farm.check_alive()
                time.sleep(LOOK_S)
        finally:
            self.farm.stop(slaves)
        failed = {
            task["frame"]: (task["error"] or {}).get("message", "no reason was given")
            for task in detail["tasks"]
            if task["state"] != "done"
        }
        if len(failed) < len(detail["tasks"]):
            self.follow(self.client.fetch(job, "", "exr", str(folder / "farm" / "films")))
            if any(task["outputs"] for task in self.farm.get(f"api/v1/jobs/{job}")["tasks"]):
                self.follow(self.client.fetch(job, "", "outputs", str(folder / "farm" / "outputs")))
        return failed

    def compare(self, row: Row, frame: int, folder: Path) -> None:
        films = [film_of(folder / side / "films", frame) for side in ("farm", "local", "again")]
        if not all(films):
            row.outcome, row.reason = "failed", "there is no film of each render"
            return
        found = compare_films(*(film for film in films if film))
        if frame == first_of(folder):  # files' names need not tell their frame: all are compared once
            of_files = compare_outputs(*(folder / side / "outputs" for side in ("farm", "local", "again")))
            found.apart += of_files.apart
            found.difference = max(found.difference, of_files.difference)
            found.noise = max(found.noise, of_files.noise)
        row.difference, row.noise, row.apart = found.difference, found.noise, found.apart
        if not found.apart:
            row.outcome = "noise" if found.difference else "equal"
        else:
            is_said = any(finding["severity"] in WARNING for finding in row.findings)
            row.outcome = "said" if is_said else "SILENT"


def first_of(folder: Path) -> int:
    return json.loads((folder / "local" / "info.json").read_text())["frames"][0]


def film_of(folder: Path, frame: int) -> Path | None:
    """The film of a frame, by the number in its name."""
    for path in folder.rglob("*.exr"):
        number = re.search(r"(-?\d+)$", path.stem)
        if number and int(number[1]) == frame:
            return path
    return None


def reason(findings: list[dict[str, str]]) -> str:
    worst = next((finding for finding in findings if finding["severity"] == "wrong"), None)
    return f"{worst['where']} {worst['message']}".strip() if worst else ""


def blends(paths: list[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(found.resolve() for found in path.rglob("*.blend"))
        else:
            yield path.resolve()


def line(row: Row) -> str:
    frame = "" if row.frame is None else str(row.frame)
    kinds = ",".join(sorted({f["kind"] for f in row.findings if f["severity"] in WARNING})) or "-"
    figures = "" if row.frame is None else f"{row.difference:<10.3g} {row.noise:<10.3g}"
    rest = row.reason or ", ".join(row.apart[:4]) + (" ..." if len(row.apart) > 4 else "")
    start = f"{Path(row.file).name[:32]:32} {frame:>6} {row.verdict:10} {row.outcome:8} {kinds:24} "
    return f"{start}{figures:21} {rest[:160]}".rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/truth", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FOLDER|FILE", help="scenes, or folders with scenes")
    parser.add_argument("--blender", help="a Blender, or a Python with bpy; else that of scripts/setup")
    parser.add_argument("--frames", help="such as 1-10x3,40; else the scene's first, middle and last")
    parser.add_argument("--percent", type=int, help="render at this percentage of the scene's resolution")
    parser.add_argument("--samples", type=int, help="render with so many samples")
    parser.add_argument("--split", default="off", choices=("off", "auto", "samples", "tiles"))
    parser.add_argument("--allow-scripts", action="store_true", help="scenes' own Python may run")
    parser.add_argument("--send-anyway", action="store_true", help="render what the verdict refuses, too")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    if options.frames:
        options.frames = ",".join(map(str, netrender_native.frames(options.frames)))
    options.blender = options.blender or (ROOT / ".venv/setup/blender").read_text().strip()
    found = list(dict.fromkeys(blends(options.files)))
    if not found:
        print("truth: there is no .blend file", file=sys.stderr)
        return UNUSABLE
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="netrender-truth-") as folder,
        Farm(options.blender, Path(folder), options.allow_scripts) as farm,
    ):
        farm.begin()
        if not farm.unshare:
            print("truth: mounts can't be hidden here, so slaves may see the originals", file=sys.stderr)
        audit = Audit(options, farm, Path(folder))
        if not options.json:
            print(f"{'file':32} {'frame':>6} {'verdict':10} {'outcome':8} {'findings':24} difference noise")
        for blend in found:
            for row in audit.rows(blend):
                rows.append(row)
                if not options.json:
                    print(line(row), flush=True)
        audit.client.stop()
    counts = {
        name: sum(row.outcome == name for row in rows) for name in sorted({row.outcome for row in rows})
    }
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "counts": counts}, indent=1, default=str))
    else:
        print(f"truth: {len(found)} files; " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    if all(row.outcome in ("failed", "skipped") for row in rows):
        return UNUSABLE
    return SILENT if counts.get("SILENT") else 0


def leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for signal_number in (signal.SIGTERM, signal.SIGHUP):  # the farm ends with us
        signal.signal(signal_number, leave)
    try:
        sys.exit(main())
    except demo_farm.DemoError as error:
        print(f"truth: {error}", file=sys.stderr)
        sys.exit(UNUSABLE)
