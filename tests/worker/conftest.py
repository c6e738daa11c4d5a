# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender and a worker in it."""

import contextlib
import itertools

import pytest

from support.worker import Worker


class LastingWorker:
    """A worker that test after test uses, as a slave uses one for job after job. A new one takes its
    place after a test that failed."""

    def __init__(self, blender, folder):
        self.blender, self.folder = blender, folder
        self.numbers = itertools.count(1)
        self.worker = None

    def get(self):
        if self.worker is None:
            self.worker = Worker(self.blender, self.folder / str(next(self.numbers)))
        return self.worker

    def close(self):
        if self.worker:
            self.worker.close()
            self.worker = None


@pytest.fixture
def blender(any_blender):
    return any_blender


@pytest.fixture(scope="module")
def lasting_worker(any_blender, tmp_path_factory):
    with contextlib.closing(LastingWorker(any_blender, tmp_path_factory.mktemp("worker"))) as lasting:
        yield lasting


@pytest.fixture
def worker(lasting_worker, tmp_path, request):
    worker = lasting_worker.get()
    worker.begin(tmp_path / "scratch")
    yield worker
    report = getattr(request.node, "report_call", None)
    if report is None or report.failed:
        print(f"\n----- {worker.log}\n{worker.printed()[-6000:]}")
        lasting_worker.close()


@pytest.fixture
def new_worker(blender, tmp_path):
    """For a test at whose end it is gone."""
    with contextlib.closing(Worker(blender, tmp_path / "worker")) as worker:
        yield worker


@pytest.fixture(scope="module")
def small_scene(any_blender, tmp_path_factory):
    return any_blender.build_small(tmp_path_factory.mktemp("artist"))
