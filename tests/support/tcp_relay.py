# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP relay between two programs: counts the bytes that pass; can be slowed, held or cut, and can damage them."""

import contextlib
import socket
import threading
import time


class TcpRelay:
    """Relays to `url`. `up` counts bytes towards it, `down` those back; `cut_after` bytes up, it breaks and stays
    broken until `mend()`, as after `cut()`. `hold_after` bytes up, it stops moving until `release()`. With `slow_s` it
    rests that long after each few KiB. With `damage` set, one bit of the next run of bytes that is long enough to be
    no head of a message is flipped, and `damage` cleared."""

    LONG = 16 << 10

    def __init__(self, url, cut_after=None, hold_after=None):
        host, port = url.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)
        self._to = (host, int(port))
        self.up = self.down = 0
        self.cut_after, self.hold_after = cut_after, hold_after
        self.slow_s = 0.0
        self.broken, self.held, self.damage = threading.Event(), threading.Event(), threading.Event()
        self._moving = threading.Event()
        self._moving.set()
        self._lock = threading.Lock()
        self._sockets = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.close()
        self.release()
        self.cut()

    @property
    def total(self):
        return self.up + self.down

    def reset(self):
        self.up = self.down = 0

    def mend(self):
        self.cut_after = None
        self.broken.clear()

    def release(self):
        self.hold_after = None
        self._moving.set()

    def cut(self):
        self.broken.set()
        with self._lock:
            for end in self._sockets:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self.broken.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection(self._to)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._sockets |= {near, far}
            for start, end, up in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pump, args=(start, end, up), daemon=True).start()

    def _pump(self, start, end, up):
        try:
            while data := start.recv(1 << 18 if not self.slow_s else 1 << 12):
                self._moving.wait()
                if self.slow_s:
                    time.sleep(self.slow_s)
                with self._lock:
                    if up:
                        self.up += len(data)
                    else:
                        self.down += len(data)
                    cut = up and self.cut_after is not None and self.up >= self.cut_after
                    if up and self.hold_after is not None and self.up >= self.hold_after:
                        self._moving.clear()
                        self.held.set()
                if cut:
                    self.cut()
                    return
                if len(data) >= self.LONG and self.damage.is_set():
                    self.damage.clear()
                    middle = len(data) // 2
                    data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
                end.sendall(data)
        except OSError:
            pass
        finally:
            for one in (start, end):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._sockets -= {start, end}
