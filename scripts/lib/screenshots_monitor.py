# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets up a farm with real Blenders, sends jobs of all sorts, and photographs the pages of the web
monitor meanwhile."""

import contextlib
import sys
import tempfile
from pathlib import Path

from support.api import MasterApi
from support.blender import find_module, find_program
from support.browser import PHONE, Browser
from support.farm import FarmEnv, wait_until
from support.paths import ROOT

DESKTOP = (1280, 800)
SLAVES = ("barn-01", "barn-02", "loft")


def main(target):
    blender = find_program() or find_module()
    assert blender, "there is no Blender: put one on the PATH or name it in $BLENDER"
    with tempfile.TemporaryDirectory(prefix="netrender-shots-") as folder, contextlib.ExitStack() as closing:
        env = FarmEnv(Path(folder))
        closing.callback(env.close)
        scene = Path(folder) / "ring.blend"
        blender.run(ROOT / "scripts" / "lib" / "demo_scene.py", scene, 1, 240)
        master = env.master(name="Barn farm")
        api = MasterApi(master.url)
        for name in SLAVES:
            env.slave(master, blender, "--threads", 1, name=name)

        def send(name, frames, category, priority=50):
            options = ["--frames", frames, "--name", name, "--category", category, "--priority", priority]
            return env.submit(master, blender, scene, *options)

        first = send("sh010_ring_lighting_v03", "1-48", "Episode 1")
        api.wait(first)
        still = send("poster_ring", "24", "Stills", 80)
        api.wait(still)
        nowhere = api.job(first)["spec"]["manifest"]
        api.submit(nowhere, name="sh020_fx_eevee", frames="1-120", category="Episode 1", blender=[5, 0])
        turn = send("turntable_hero", "1-240", "Look dev", 60)
        paused = send("sh030_anim_v11", "1-96", "Episode 1")
        api.post(f"api/v1/jobs/{paused}/pause", None)
        canceled = send("sh015_old_take", "1-60", "Episode 1", 30)
        api.post(f"api/v1/jobs/{canceled}/cancel", None)
        send("sh040_layout", "1-150", "Episode 2", 40)
        wait_until(lambda: api.job(turn)["done"] >= 40, 120, "some of it is rendered")

        browser = Browser()
        closing.callback(browser.close)
        pages = {
            "overview": ("", "tr[data-job] img"),
            "job": (f"jobs/{turn}", "[data-frame] img"),
            "times": (f"jobs/{first}/times", ".plot .bars"),
            "settings": (f"jobs/{first}/settings", ".facts"),
            "frame": (f"jobs/{first}/frames/12", ".canvas img"),
            "film": (f"jobs/{first}/frames/12", ".canvas img"),
            "files": (f"jobs/{first}/files", ".files"),
            "slave": ("slaves/1", ".strip .bars[d^=M]"),
            "farm": ("farm", ".strip .bars[d^=M]"),
        }
        loaded = (
            "return [...document.images].every((one) => one.naturalWidth"
            " || one.getBoundingClientRect().top > innerHeight)"
        )
        for size, device in ((DESKTOP, "desktop"), (PHONE, "phone")):
            for dark in (False, True):
                browser.screen(size, dark)
                for name, (route, sign) in pages.items():
                    browser.open(f"{master.url}/#/{route}")
                    browser.find(sign)
                    if name == "film":
                        browser.click("[data-mode='film']")
                        browser.find(".canvas img[data-shown]")
                    wait_until(lambda: browser.run(loaded), 10, "the pictures are there")
                    browser.picture(Path(target) / f"{name}-{device}-{'dark' if dark else 'light'}.png")


if __name__ == "__main__":
    main(sys.argv[1])
