# SPDX-License-Identifier: GPL-3.0-or-later
"""Those who send jobs: again and again until they have an answer, by `netrender submit` or by hand."""

import collections
import contextlib
import http.client
import json
import queue
import random
import select
import subprocess
import threading

from support.farm import PROGRAM
from support.tcp_relay import TcpRelay

# What waits for slaves at most; so the farm is always busy and heals in bounded time.
OPEN_FRAMES = 300
AGAIN_S = 0.3
PATIENCE_S = 120


class Board:
    """All jobs anybody wanted, in the order they were wanted."""

    def __init__(self, most):
        self.lock = threading.Lock()
        self.wishes = []
        self.most = most
        self.over = threading.Event()
        # Told by the faults: what shall happen to the next job that is sent.
        self.mishaps = queue.SimpleQueue()
        self.mishap_counts = collections.Counter()
        self.sent_again = 0

    def answered(self):
        with self.lock:
            return [wish for wish in self.wishes if wish.answered]

    def next(self, scenes, chance):
        """The next wish, or None when there are enough."""
        with self.lock:
            if self.over.is_set() or (self.most and len(self.wishes) >= self.most):
                return None
            number = len(self.wishes) + 1
            self.wishes.append(wish := scenes.wish(f"job{number}", chance))
            return wish


class Client(threading.Thread):
    """Sends one job after the other. A mishap it is asked for happens to its next one."""

    def __init__(self, number, seed, farm, scenes, board):
        super().__init__(name=f"client{number}", daemon=True)
        self.chance = random.Random(f"{seed} client {number}")
        self.farm, self.scenes, self.board = farm, scenes, board
        self.error = None
        self.sent = 0

    def run(self):
        try:
            while not self.board.over.is_set():
                if self._enough_waits():
                    self.board.over.wait(AGAIN_S)
                elif wish := self.board.next(self.scenes, self.chance):
                    self._send_until_answered(wish)
                else:
                    return
        except BaseException as error:
            self.error = error  # told at the end

    def _enough_waits(self):
        try:
            jobs = self.farm.api.jobs()
        except (OSError, AssertionError, ValueError, http.client.HTTPException):
            return True
        open_frames = sum(j["total"] - j["done"] for j in jobs if j["state"] in ("active", "paused"))
        return open_frames >= OPEN_FRAMES

    def _send_until_answered(self, wish):
        pause = threading.Event()
        for _ in range(int(PATIENCE_S / AGAIN_S)):
            mishap = None
            with contextlib.suppress(queue.Empty):
                mishap = self.board.mishaps.get_nowait()
            by_hand = self.scenes.has_api and not mishap and self.chance.random() < 0.4
            by_hand |= mishap == "  submit again"
            try:
                job = self._by_hand(wish, mishap) if by_hand else self._by_command(wish, mishap)
            except (OSError, AssertionError, ValueError, http.client.HTTPException):
                job = None
            if job is not None:
                with self.board.lock:
                    wish.answered.append(job)
                return
            self.board.sent_again += 1
            pause.wait(AGAIN_S)
        raise AssertionError(f"{wish.name} could not be sent within {PATIENCE_S} s and more")

    def _by_hand(self, wish, mishap):
        api = self.farm.api
        spec = self.scenes.send_by_hand(api, wish)
        wish.attempts += 1
        if mishap == "  submit again":
            connection = http.client.HTTPConnection(api.host, timeout=60)
            connection.request("POST", "/api/v1/jobs", json.dumps(spec), {"Content-Type": "application/json"})
            # The answer is there, so the job is; nobody reads it.
            select.select([connection.sock], [], [], PATIENCE_S)
            connection.close()
            self.board.mishap_counts[mishap] += 1
            return None
        answer = api.call("POST", "api/v1/jobs", spec)
        return answer.json()["job"] if answer.status == 201 else None

    def _by_command(self, wish, mishap):
        wish.attempts += 1
        self.sent += 1
        with contextlib.ExitStack() as held:
            url, line = self.farm.master.url, None
            if mishap:
                line = held.enter_context(TcpRelay(url))
                url = line.url
            if mishap == "client killed":
                line.hold_after = int(wish.bytes * self.chance.uniform(0.2, 0.8))
            elif mishap == "bytes damaged":
                line.damage.set()
            options = ["--master", url, "--blender", self.scenes.blender, "--split", "off", "--json"]
            options += ["--frames", wish.frame_list, "--name", wish.name]
            options += ["--chunk", wish.chunk, "--priority", wish.priority]
            options += ["--add", wish.added] if wish.added else []
            name = f"{self.name}.{wish.name}.{self.sent}"
            service = self.farm.env.spawn(name, [PROGRAM, "submit", wish.blend, *options])
            try:
                if mishap == "client killed" and self._reached(line, service):
                    service.popen.kill()
                    self.board.mishap_counts[mishap] += 1
                service.popen.wait(PATIENCE_S)
                if mishap == "bytes damaged" and not line.damage.is_set():
                    self.board.mishap_counts[mishap] += 1
            except subprocess.TimeoutExpired:
                service.popen.kill()
                raise AssertionError(f"{service.name} did not end:\n{service.text()}") from None
            finally:
                service.popen.wait()
                self.farm.env.services.remove(service)
        if service.popen.returncode != 0:
            return None
        # Its log goes the same way.
        return json.loads(service.text()[service.text().index("{") :])["job"]

    def _reached(self, line, service):
        while service.alive():
            if line.held.wait(0.05):
                return True
        return False
