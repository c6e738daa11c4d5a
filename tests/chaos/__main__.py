# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm under faults drawn from a seed, and an audit of what is left. See docs/chaos.md; started by scripts/chaos."""

import argparse
import contextlib
import os
import random
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from chaos.audit import Audit
from chaos.clients import Board, Client
from chaos.farm import Farm
from chaos.faults import Faults
from chaos.scenes import FakeScenes, RealScenes
from support.fake_blender import Ledger
from support.farm import PROGRAM, FarmEnv

CLIENTS = 2
STALLED_S = 120  # a poll that broke silently is given up after 50 s
LOOK_S = 0.2
KILL_S = 30


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=1, help="what is drawn: jobs, faults, their order and times"
    )
    parser.add_argument("--minutes", type=float, default=5, help="how long faults happen")
    parser.add_argument(
        "--jobs", type=int, default=0, help="send no more than these; 0: as many as are taken"
    )
    parser.add_argument("--slaves", type=int, default=4)
    parser.add_argument(
        "--real", action="store_true", help="with the real Blender, and fewer slaves and frames"
    )
    parser.add_argument("--only", help="kinds of faults, with commas between; else all of them")
    parser.add_argument(
        "--keep", action="store_true", help="keep the logs and folders of a run that passed, too"
    )
    parser.add_argument(
        "--newer", type=Path, help="the build that takes turns as master; else a copy of this one"
    )
    parser.add_argument(
        "--strict", action="store_true", help="a kind of fault that can't be had here fails the run"
    )
    return parser.parse_args()


def main():
    options = arguments()
    # Not where sockets' names or users' folders would matter; kept when something is wrong.
    folder = Path(tempfile.mkdtemp(prefix=f"netrender-chaos-{options.seed}-"))
    audit = Audit()
    began = time.monotonic()
    # What ends this run must not leave a farm behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.ExitStack() as closing:
        chance = random.Random(f"{options.seed} scenes")
        scenes = (RealScenes if options.real else FakeScenes)(folder / "scenes", chance)
        env = FarmEnv(folder)
        ledger = Ledger(folder / "ledger")
        ledger.folder.mkdir()
        env.environ["CHAOS_LEDGER"] = str(ledger.folder)
        newer = options.newer or Path(shutil.copy(PROGRAM, folder / "netrender-newer"))
        farm = Farm(env, scenes.blender, min(options.slaves, 2) if options.real else options.slaves, newer)
        closing.callback(
            lambda: farm.close(keep=options.keep or bool(audit.failed) or sys.exc_info()[0] is not None)
        )
        closing.callback(kill_all, env)
        board = Board(options.jobs)
        closing.callback(board.over.set)
        try:
            run(options, farm, scenes, board, audit, ledger)
        except Exception:
            audit.none("errors of the harness", [traceback.format_exc()])
    audit.figure("wall time", f"{time.monotonic() - began:.0f} s")
    print("\n".join(audit.lines))
    if audit.failed:
        again = shlex.join(["scripts/chaos", *sys.argv[1:]])
        print(
            f"FAILED (seed {options.seed}): {', '.join(audit.failed)}\nagain: {again}\nlogs and folders: {folder}"
        )
        return 1
    if options.keep:
        print(f"logs and folders: {folder}")
    else:
        shutil.rmtree(folder)
    print(f"passed (seed {options.seed})")
    return 0


def run(options, farm, scenes, board, audit, ledger):
    clients = [Client(number, options.seed, farm, scenes, board) for number in range(CLIENTS)]
    faults = Faults(options.seed, farm, scenes, board, options.only and options.only.split(","))
    farm.start()
    for client in clients:
        client.start()
    dealing = threading.Thread(target=faults.run, args=(board.over,), daemon=True)
    dealing.start()
    until = time.monotonic() + options.minutes * 60
    while time.monotonic() < until and all(client.error is None for client in clients):
        farm.look_after()
        board.over.wait(LOOK_S)
    board.over.set()
    healing = time.monotonic()
    while dealing.is_alive() or any(client.is_alive() for client in clients):
        farm.look_after()
        dealing.join(LOOK_S)
    requeued = settle(farm, board)
    audit.figure("seed", options.seed)
    audit.figure("jobs", f"{len(farm.api.jobs())} in {sum(w.attempts for w in board.wishes)} attempts")
    counts = faults.counts + board.mishap_counts
    audit.figure("faults", f"{sum(counts[kind] for kind in faults.kinds)} of {len(faults.kinds)} kinds")
    for kind in [*faults.kinds, *sorted(counts.keys() - faults.kinds.keys())]:
        audit.figure(f"  {kind}", counts[kind])
    for kind, why in farm.skipped.items():
        audit.figure(f"  {kind}", f"skipped: {why}")
    audit.figure("times a client had to send again", board.sent_again)
    audit.figure("until all was settled", f"{time.monotonic() - healing:.0f} s")
    audit.figure("failed jobs requeued at the end", requeued)
    audit.none("kinds of faults that did not happen", (kind for kind in faults.kinds if not counts[kind]))
    if options.strict:
        audit.none("kinds of faults skipped", (f"{kind}: {why}" for kind, why in farm.skipped.items()))
    audit.none("clients that gave up", (client.error for client in clients if client.error))
    audit.none("faults not answered as they should be", faults.problems)
    audit.jobs(farm, scenes, board)
    audit.figure("frames done", audit.done)
    stop(farm, audit)
    audit.logs(farm.env.folder)
    audit.handed_in(farm.env.folder)
    audit.slaves_folders(farm.slaves)
    audit.check_command(farm.master.folder)
    audit.master_folder(farm.master.folder)
    if scenes.has_api:
        audit.renders(ledger.read(), faults.handed_in)


def settle(farm, board):
    """Waits until no job has anything left to do, as long as something moves. How many failed jobs were requeued."""
    names = {wish.name: wish for wish in board.wishes}
    requeued = set()
    seen, moved = None, time.monotonic()
    pause = threading.Event()
    while time.monotonic() - moved < STALLED_S:
        farm.look_after()
        pause.wait(LOOK_S)
        if not farm.master.is_up():
            continue
        jobs = farm.api.jobs()
        unsettled = [job for job in jobs if not is_settled(job, names)]
        if not unsettled:
            break
        for job in unsettled:
            verb = {"paused": "resume", "failed": "requeue", "canceled": "requeue"}.get(job["state"])
            if verb:
                farm.api.call("POST", f"api/v1/jobs/{job['id']}/{verb}")
            if job["state"] == "failed":
                requeued.add(job["id"])
        now = [(job["id"], job["done"], job["failed"]) for job in jobs]
        if now != seen:
            seen, moved = now, time.monotonic()
    return len(requeued)


def is_settled(job, wishes):
    wanted = job["name"] not in wishes or not wishes[job["name"]].canceled
    return job["state"] == "finished" or (job["state"] == "canceled" and not wanted)


def stop(farm, audit):
    """As owners do: slaves first. What dies on the way or stays is a finding."""
    deaths = [death for unit in farm.units for death in unit.deaths]
    try:
        farm.env.close()
    except AssertionError as error:
        deaths.append(str(error))
    audit.none("processes that died, panicked or stayed", deaths)


def kill_all(env):
    """For a run that broke off, in which threads may go on starting processes for a moment."""
    until = time.monotonic() + KILL_S
    while (left := env.running()) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(LOOK_S)
    for service in env.services:
        service.popen.wait()
    env.services.clear()


if __name__ == "__main__":
    sys.exit(main())
