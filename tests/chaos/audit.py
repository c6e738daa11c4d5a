# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true when all is over: nothing lost, nothing twice, nothing wrong, nothing left. First by asking the
farm as people do, then in the folders of what was stopped."""

import collections
import concurrent.futures
import json
import re
import sqlite3
import struct
import subprocess

from support.api import digest_of
from support.farm import PROGRAM

RECORD_HEAD = 40


class Audit:
    def __init__(self):
        self.lines = []
        self.failed = []

    def figure(self, name, value):
        self.lines.append(f"      {name}: {value}")

    def none(self, name, found):
        """Fails when there is one of them."""
        found = list(found)
        self.lines.append(f"{'FAIL' if found else 'ok  '}  {name}: {len(found)}")
        self.lines += [f"        {one}" for one in found[:10]]
        if found:
            self.failed.append(name)

    # ------------------------------------------------------------------------------------ while the farm runs

    def jobs(self, farm, scenes, board):
        jobs = {job["id"]: job for job in farm.api.jobs()}
        wishes = {wish.name: wish for wish in board.wishes}
        by_name = collections.defaultdict(list)
        for job in jobs.values():
            by_name[job["name"]].append(job["id"])
        answered = [(number, wish) for wish in board.wishes for number in wish.answered]
        self.none(
            "accepted jobs lost",
            (f"{wish.name}, job {n}" for n, wish in answered if jobs.get(n, {}).get("name") != wish.name),
        )
        strange = by_name.keys() - wishes.keys()
        self.none("jobs that nobody sent", (f"job {by_name[name]}: {name}" for name in strange))
        self.none(
            "jobs more than there were attempts",
            (
                f"{w.name}: {by_name[w.name]}"
                for w in board.wishes
                if len(by_name[w.name]) > max(w.attempts, 1)
            ),
        )
        twins = sum(len(ids) - 1 for ids in by_name.values() if len(ids) > 1)
        self.figure("jobs sent again after an answer was lost, and there twice", twins)
        self.none(
            "jobs not finished",
            (
                f"job {job['id']} ({job['name']}): {job['state']}, {job['done']}/{job['total']} {job['why']}"
                for job in jobs.values()
                if job["state"] != "finished"
                and not (job["state"] == "canceled" and wishes[job["name"]].canceled)
            ),
        )
        self._films(
            farm, scenes, [(job, wishes[job["name"]]) for job in jobs.values() if job["name"] in wishes]
        )

    def _films(self, farm, scenes, jobs):
        absent, wrong, other_frames, count = [], [], [], 0

        def look(job, wish, task):
            name = f"frame {task['frame']} of job {job['id']}"
            if task["state"] != "done":
                return absent.append(f"{name} is {task['state']}") if job["state"] == "finished" else None
            data = farm.api.get(f"render_{job['id']}_{task['frame']}.exr").body
            if digest_of(data) != task["film"]:
                return wrong.append(f"{name}: its bytes are not those of {task['film']}")
            if problem := scenes.problem(wish, task["frame"], data):
                return wrong.append(f"{name}: {problem}")

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for job, wish in jobs:
                tasks = farm.api.job(job["id"])["tasks"]
                if sorted(task["frame"] for task in tasks) != wish.frames:
                    other_frames.append(f"job {job['id']}")
                count += sum(task["state"] == "done" for task in tasks)
                list(pool.map(lambda task, job=job, wish=wish: look(job, wish, task), tasks))
        self.done = count
        self.none("jobs with other frames than asked for", other_frames)
        self.none("frames lost", absent)
        self.none("films wrong", wrong)

    # -------------------------------------------------------------------------------------- after it was stopped

    def logs(self, folder):
        panics = []
        for log in sorted(folder.glob("*.log")):
            text = log.read_text(errors="replace")
            panics += [f"{log.name}: {line}" for line in text.splitlines() if "panicked" in line]
        self.none("panics", panics)

    def handed_in(self, folder):
        """What the slaves were told when they handed in."""
        told = re.compile(r"handed in job=(\d+) frame=(-?\d+) fresh=true")
        taken = collections.Counter(
            found.groups()
            for log in folder.glob("*.log")
            for found in told.finditer(log.read_text(errors="replace"))
        )
        self.none("frames done more than once", (f"{key}: {n} times" for key, n in taken.items() if n > 1))

    def master_folder(self, data):
        """Every row, blob and piece. A master that was stopped leaves a snapshot and no events."""
        with sqlite3.connect(f"file:{data / 'farm.db'}?mode=ro", uri=True) as db:
            events = db.execute("SELECT body FROM event").fetchall()
            wanted = {json.loads(head)["spec"]["manifest"] for (head,) in db.execute("SELECT head FROM job")}
            tasks = db.execute("SELECT film, preview, log, failures FROM task").fetchall()
        self.none("events beside the snapshot", (body for (body,) in events))
        failures = [failure for *_, text in tasks if text for failure in json.loads(text)]
        kinds = collections.Counter(failure["error"]["kind"] for failure in failures)
        self.none(
            "failures taken from leases long gone", ["chaos_late"] if kinds.pop("chaos_late", 0) else []
        )
        self.figure("attempts that failed", ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()) or 0)
        wanted |= {digest.hex() for *digests, _ in tasks for digest in digests if digest}
        wanted |= {failure["log"] for failure in failures if failure["log"]}
        self._blobs(data / "blobs", wanted)
        self._pieces(data / "pieces")

    def _blobs(self, folder, wanted):
        files = {path.name: path for path in folder.rglob("*") if path.is_file()}
        self.none("blobs lost", sorted(wanted - files.keys()))
        self.none(
            "blobs damaged",
            (name for name, path in files.items() if len(name) != 64 or digest_of(path.read_bytes()) != name),
        )
        orphans = [files[name].stat().st_size for name in files.keys() - wanted]
        self.figure("blobs", f"{len(files)}, of no job: {len(orphans)} of {sum(orphans)} bytes")

    def _pieces(self, folder):
        with sqlite3.connect(f"file:{folder / 'index.db'}?mode=ro", uri=True) as db:
            rows = db.execute("SELECT digest, pack, offset, bytes, stored FROM piece").fetchall()
        # Packs are told by their number, however their names are written.
        packs = {
            int("".join(filter(str.isdigit, path.name))): path
            for path in folder.iterdir()
            if path.is_file() and "index" not in path.name
        }
        lost, known = [], collections.Counter()
        for digest, pack, offset, size, stored in rows:
            with packs[pack].open("rb") if pack in packs else open("/dev/null", "rb") as file:  # noqa: PTH123
                file.seek(offset)
                head = file.read(RECORD_HEAD)
                content = file.read(stored)
            right = head == digest + struct.pack("<II", size, stored) and len(content) == stored
            if not right or (size == stored and digest_of(content) != digest.hex()):
                lost.append(digest.hex())
            known[pack] += RECORD_HEAD + stored
        self.none("pieces lost or damaged", lost)
        total = sum(path.stat().st_size for path in packs.values())
        self.figure(
            "pieces",
            f"{len(rows)} in {total} bytes, of which the index does not know {total - known.total()}",
        )

    def check_command(self, data):
        """The program's own opinion of the folder."""
        if subprocess.run([PROGRAM, "check", "--help"], capture_output=True, check=False).returncode != 0:
            self.figure("netrender check", "this netrender has no such command")
            return
        done = subprocess.run(
            [PROGRAM, "check", "--data", data, "--json"], capture_output=True, text=True, check=False
        )
        self.none(
            "complaints of netrender check", [] if done.returncode == 0 else [done.stdout + done.stderr]
        )

    def slaves_folders(self, slaves):
        left = [path for slave in slaves for path in (slave.folder / "spool").iterdir()]
        self.none("films and broken renders left in spools", (path for path in left if path.suffix != ".png"))

    def renders(self, rows, handed_in_by_us):
        """How many renders the frames cost. `rows` of the ledger: began or ended, look, frame, pid, trick."""
        began = sum(row[0] == "began" for row in rows)
        tricks = collections.Counter(row[4] for row in rows if row[0] == "began" and row[4] != "-")
        ends = collections.Counter(row[4] for row in rows if row[0] == "ended")
        ended = ends.total() - ends["broken"] - ends["unwritten"]
        broken_off = began - ends.total() - tricks["crash"]
        useful = self.done - handed_in_by_us
        self.figure(
            "tricks of the fake Blender", ", ".join(f"{n} {t}" for t, n in sorted(tricks.items())) or 0
        )
        self.figure(
            "renders",
            f"{began} for {self.done} frames ({handed_in_by_us} of them handed in by us); "
            f"in vain: {tricks['crash']} crashed, {tricks['broken']} broken, {ends['unwritten']} without room on the "
            f"disk, {broken_off} broken off, "
            f"{ended - useful} finished and not needed or lost on the way",
        )
