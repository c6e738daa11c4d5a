# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong, drawn from the seed. Each kind is a function that makes it happen, waits as long as it lasts, and
mends it again; it says whether it took place, for its victim may be in other hands, or None when others will know."""

import collections
import contextlib
import http.client
import os
import random
import signal
import socket
import threading
import time

from chaos.farm import Relay
from support.api import PROTOCOL, digest_of

NO_ANSWER = (OSError, ValueError, http.client.HTTPException)
GAP_S = (0.4, 2.4)
AT_ONCE = 3
JUMPS_S = (-86_400, -3600, -30, 30, 3600, 40_000_000)


class Faults:
    """Deals the kinds from a shuffled deck, so that each has its turn, in some threads at a time."""

    def __init__(self, seed, farm, scenes, board, only=None):
        self.seed, self.farm, self.scenes, self.board = seed, farm, scenes, board
        self.chance = random.Random(f"{seed} faults")
        self.counts = collections.Counter()
        self.handed_in = 0
        self.problems = []
        self._over = threading.Event()
        self._free = threading.Semaphore(AT_ONCE)
        self._running = []
        self._deck = []
        self._number = 0
        self.kinds = {
            "master killed": self.master_killed,
            "master frozen": self.master_frozen,
            "master replaced": self.master_replaced,
            "slave killed": self.slave_killed,
            "slave frozen": self.slave_frozen,
            "worker killed": self.worker_killed,
            "worker frozen": self.worker_frozen,
            "client killed": self.client_killed,
            "line cut": self.line_cut,
            "line slow": self.line_slow,
            "bytes damaged": self.bytes_damaged,
            "request repeated": self.request_repeated,
            "request damaged": self.request_damaged,
            "job changed": self.job_changed,
            "master's disk full": self.master_disk_full,
            "slave's disk full": self.slave_disk_full,
            "clock jumped": self.clock_jumped,
        }
        if "disk" in farm.skipped:
            del self.kinds["master's disk full"], self.kinds["slave's disk full"]
        if "clock" in farm.skipped:
            del self.kinds["clock jumped"]
        if only:
            self.kinds = {kind: self.kinds[kind] for kind in only}

    def run(self, over):
        """Until `over` is set; then everything is mended when this returns."""
        while not over.wait(self.chance.uniform(*GAP_S)):
            self._free.acquire()
            if not self._deck:
                self._deck = self.chance.sample(sorted(self.kinds), len(self.kinds))
            self._number += 1
            thread = threading.Thread(target=self._happen, args=(self._deck.pop(), self._number), daemon=True)
            self._running = [other for other in self._running if other.is_alive()] + [thread]
            thread.start()
        self._over.set()
        for thread in self._running:
            thread.join()

    def _happen(self, kind, number):
        try:
            happened = self.kinds[kind](random.Random(f"{self.seed} fault {number}"))
            if happened:
                self.counts[kind] += 1
            elif happened is False:
                self._deck.insert(0, kind)  # its victim was busy: later again
        except Exception as error:
            self.problems.append(f"{kind}: {type(error).__name__}: {error}")
        finally:
            self._free.release()

    def _last(self, chance, least, most):
        """A fault's own time; cut short when all is over."""
        self._over.wait(chance.uniform(least, most))

    @contextlib.contextmanager
    def _one(self, units):
        """One of the units that nothing else happens to, or None."""
        for unit in units:
            if unit.lock.acquire(blocking=False):
                try:
                    yield unit if unit.service.alive() else None
                finally:
                    unit.lock.release()
                return
        yield None

    def _slaves(self, chance):
        return chance.sample(self.farm.slaves, len(self.farm.slaves))

    # ------------------------------------------------------------------------------------------- processes

    def master_killed(self, chance):
        return self._killed(chance, [self.farm.master])

    def slave_killed(self, chance):
        return self._killed(chance, self._slaves(chance))

    def _killed(self, chance, units):
        with self._one(units) as unit:
            if unit:
                unit.kill()
                self._last(chance, 0, 3)
                unit.start()
            return unit is not None

    def master_frozen(self, chance):
        return self._frozen(chance, [self.farm.master])

    def slave_frozen(self, chance):
        return self._frozen(chance, self._slaves(chance))

    def _frozen(self, chance, units):
        with self._one(units) as unit:
            if unit:
                unit.signal(signal.SIGSTOP)
                self._last(chance, 0.5, 5)
                unit.signal(signal.SIGCONT)
            return unit is not None

    def master_replaced(self, chance):
        with self._one([self.farm.master]) as master:
            if master:
                master.replace()
            return master is not None

    def worker_killed(self, chance):
        with self._one(self._slaves(chance)) as slave:
            workers = slave.workers() if slave else []
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return bool(workers)

    def worker_frozen(self, chance):
        with self._one(self._slaves(chance)) as slave:
            workers = slave.workers() if slave else []
            for number in (signal.SIGSTOP, signal.SIGCONT):
                for pid in workers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                if number == signal.SIGSTOP:
                    self._last(chance, 0.5, 5)
            return bool(workers)

    def client_killed(self, chance):
        """In the midst of the next upload."""
        self.board.mishaps.put("client killed")

    # ---------------------------------------------------------------------------------- lines, disks, clocks

    def line_cut(self, chance):
        return self._line(chance, "cut", "mend", (0.5, 6))

    def line_slow(self, chance):
        return self._line(chance, "slow", "quicken", (2, 6))

    def _line(self, chance, begin, end, seconds):
        for slave in self._slaves(chance):
            if slave.line_lock.acquire(blocking=False):
                try:
                    getattr(slave.line, begin)()
                    self._last(chance, *seconds)
                    getattr(slave.line, end)()
                finally:
                    slave.line_lock.release()
                return True
        return False

    def bytes_damaged(self, chance):
        """A bit flips on the way: of the next upload, or of what a slave fetches."""
        relayed = [slave for slave in self._slaves(chance) if isinstance(slave.line, Relay)]
        if not relayed or chance.random() < 0.5:
            self.board.mishaps.put("bytes damaged")
            return None
        damage = relayed[0].line.damage
        damage.set()
        until = time.monotonic() + 5
        while damage.is_set() and time.monotonic() < until and not self._over.is_set():
            self._over.wait(0.1)
        happened = not damage.is_set()
        damage.clear()
        return happened

    def master_disk_full(self, chance):
        return self._disk_full(chance, [self.farm.master])

    def slave_disk_full(self, chance):
        return self._disk_full(chance, [slave for slave in self._slaves(chance) if slave.disk])

    def _disk_full(self, chance, units):
        # Not under the unit's lock: what else happens while the disk is full is what this is about.
        unit = next((unit for unit in units if unit.disk.full_until != float("inf")), None)
        if unit:
            until = time.monotonic() + chance.uniform(1, 5)
            while time.monotonic() < until and not self._over.is_set():
                unit.disk.fill()
                self._over.wait(0.1)
            unit.disk.free()
        return unit is not None

    def clock_jumped(self, chance):
        unit = chance.choice([unit for unit in self.farm.units if unit.clock])
        unit.clock.jump(chance.choice(JUMPS_S))
        return True

    # ---------------------------------------------------------------------------------------------- requests

    def _some_frame(self, chance, states):
        """(wish, job, task) of a frame in one of the states, or None."""
        wishes = [wish for wish in self.board.answered() if not wish.canceled]
        for wish in chance.sample(wishes, len(wishes)):
            job = self.farm.api.job(wish.answered[-1])
            if tasks := [task for task in job["tasks"] if task["state"] in states]:
                return wish, job["id"], chance.choice(tasks)
        return None

    def request_repeated(self, chance):
        ways = [self._hand_in_again, self._fail_late, self._poll_again, self._register_again]
        if self.scenes.has_api:
            ways += [self._hand_in_late, self._submit_again]
        way = chance.choice(ways)
        try:
            if not way(chance):
                return False
        except (*NO_ANSWER, AssertionError):
            return False  # the master is away
        if way != self._submit_again:
            self._count(way)
        return True

    def _count(self, way):
        self.counts[f"  {way.__name__.strip('_').replace('_', ' ')}"] += 1

    def _hand_in(self, chance, job, frame, digest):
        """What the master said: fresh, not fresh, or None for no."""
        slave = chance.choice(self.farm.api.slaves())["id"]
        body = {"slave": slave, "job": job, "frame": frame, "film": digest, "seconds": 1.0}
        answer = self.farm.api.call("POST", "api/v1/results", {**body, "preview": None, "log": None})
        return answer.json()["fresh"] if answer.status == 200 else None

    def _hand_in_again(self, chance):
        found = self._some_frame(chance, ["done"])
        if found and self._hand_in(chance, found[1], found[2]["frame"], found[2]["film"]):
            self.problems.append(f"a second result for frame {found[2]['frame']} of job {found[1]} was taken")
        return found is not None

    def _hand_in_late(self, chance):
        """As a slave does that was long lost, in no order, and twice."""
        found = self._some_frame(chance, ["waiting", "leased"])
        if found:
            wish, job, task = found
            digest = self.farm.api.put_blob(self.scenes.film(wish, task["frame"]))
            said = [self._hand_in(chance, job, task["frame"], digest) for _ in range(2)]
            self.handed_in += said[0] is True
            if said[0] is not None and said[1]:
                self.problems.append(f"frame {task['frame']} of job {job} was fresh twice")
        return found is not None

    def _fail_late(self, chance):
        """A failure of a lease that ended long ago."""
        found = self._some_frame(chance, ["waiting", "leased", "done"])
        if found:
            slave = chance.choice(self.farm.api.slaves())["id"]
            body = {"slave": slave, "lease": 1, "job": found[1], "frame": found[2]["frame"], "log": None}
            error = {"kind": "chaos_late", "message": "from a lease long gone"}
            for _ in range(2):
                self.farm.api.call("POST", "api/v1/failures", {**body, "error": error})
        return found is not None

    def _poll_again(self, chance):
        slave = chance.choice(self.farm.api.slaves())["id"]
        for _ in range(2):
            old = {"held": [], "want": "now", "number": 1}
            self.farm.api.call("POST", f"api/v1/slaves/{slave}/poll", old)
        return True

    def _register_again(self, chance):
        slave = self._slaves(chance)[0]
        key = (slave.folder / "slave.key").read_text().strip()
        known = next((s for s in self.farm.api.slaves() if s["name"] == slave.name), None)
        if known:
            body = {"protocol": PROTOCOL, "key": key, "name": slave.name, "info": known["info"]}
            self.farm.api.post("api/v1/slaves", body)
        return known is not None

    def _submit_again(self, chance):
        """The answer is lost, so the client sends the job again."""
        self.board.mishaps.put("  submit again")
        return True

    def request_damaged(self, chance):
        """Nothing of this may be taken, and each must be answered as what it is: the asker's mistake."""
        ways = [
            self._damaged_blob,
            self._damaged_piece,
            self._damaged_json,
            self._lying_result,
            self._garbage,
        ]
        way = chance.choice(ways)
        try:
            answer = way(chance)
        except (*NO_ANSWER, AssertionError):
            return False
        if answer is False:
            return False
        if answer is not None and not (400 <= answer.status < 500 or answer.status in (503, 507)):
            self.problems.append(f"{way.__name__}: answered with {answer.status} {answer.body[:300]}")
        self._count(way)
        return True

    def _flipped(self, chance, data, bit=None):
        at = chance.randrange(len(data))
        return (
            data[:at]
            + bytes([data[at] ^ (1 << (chance.randrange(8) if bit is None else bit))])
            + data[at + 1 :]
        )

    def _damaged_blob(self, chance):
        data = chance.randbytes(chance.randint(1, 50_000))
        wrong = self._flipped(chance, data)
        return self.farm.api.call("PUT", f"api/v1/blobs/{digest_of(data)}", wrong, "application/octet-stream")

    def _damaged_piece(self, chance):
        data = chance.randbytes(chance.randint(1, 50_000))
        sizes = len(data).to_bytes(4, "little") * 2
        record = bytes.fromhex(digest_of(data)) + sizes + data
        # A digest that is not its bytes', sizes that can't be, or bytes that are not the digest's.
        return self.farm.api.call(
            "POST", "api/v1/pieces", self._flipped(chance, record), "application/octet-stream"
        )

    def _damaged_json(self, chance):
        slave = chance.choice(self.farm.api.slaves())
        bodies = {
            "jobs": b'{"name":"damaged","frames":"1-9","engine":"CYCLES","blender":[4,2],"width":32,"height":18}',
            "results": b'{"slave":1,"job":1,"frame":1,"film":"' + b"0" * 64 + b'","seconds":1.0}',
            "failures": b'{"slave":1,"lease":1,"job":1,"frame":1,"error":{"kind":"k","message":"m"},"log":null}',
            "slaves": b'{"protocol":2,"key":"damaged","name":"damaged","info":{}}',
            f"slaves/{slave['id']}/poll": b'{"held":[],"want":"now","number":0}',
        }
        path, body = chance.choice(sorted(bodies.items()))
        # The highest bit: never JSON any more. Others could make another sound request of it.
        return self.farm.api.call("POST", f"api/v1/{path}", self._flipped(chance, body, bit=7))

    def _lying_result(self, chance):
        """Bytes that are there and no film, or a film that is not there."""
        found = self._some_frame(chance, ["waiting", "leased"])
        if not found:
            return False
        digest = (
            self.farm.api.put_blob(b"no film") if chance.random() < 0.5 else digest_of(chance.randbytes(9))
        )
        body = {"slave": 1, "job": found[1], "frame": found[2]["frame"], "film": digest, "seconds": 1.0}
        answer = self.farm.api.call("POST", "api/v1/results", {**body, "preview": None, "log": None})
        # It may have been finished meanwhile; then nobody looks at this.
        return None if answer.status == 200 and not answer.json()["fresh"] else answer

    def _garbage(self, chance):
        host, port = self.farm.api.host.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=5) as line:
            if chance.random() < 0.5:
                line.sendall(chance.randbytes(chance.randint(1, 5000)))
            else:
                line.sendall(
                    b"POST /api/v1/pieces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\nbroken off"
                )

    # -------------------------------------------------------------------------------------------------- jobs

    def job_changed(self, chance):
        wishes = [wish for wish in self.board.answered() if not wish.canceled]
        try:
            jobs = {job["id"]: job for job in self.farm.api.jobs()}
            wishes = [w for w in wishes if jobs.get(w.answered[-1], {}).get("state") == "active"]
            if not wishes:
                return False
            wish = chance.choice(wishes)
            way = chance.choices(["pause", "cancel", "cancel and requeue"], [5, 2, 3])[0]
            job = f"api/v1/jobs/{wish.answered[-1]}"
            if way == "pause":
                self.farm.api.call("POST", f"{job}/pause")
                self._last(chance, 0.2, 3)
                self.farm.api.call("POST", f"{job}/resume")
            else:
                wish.canceled = True  # said before: whether or not the answer comes, it may be so
                self.farm.api.call("POST", f"{job}/cancel")
                if way != "cancel":
                    self._last(chance, 0.2, 2)
                    if self.farm.api.call("POST", f"{job}/requeue").status < 300:
                        wish.canceled = False
        except (*NO_ANSWER, AssertionError):
            return False
        self.counts[f"  {way}"] += 1
        return True
