# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's buttons in a Blender with windows, on a screen of its own."""

import os
import shutil
import subprocess
import time

import pytest

from support import screens
from support.blender import with_tests
from support.paths import ADDON, STORIES, TESTS

ENABLE = """
import bpy, sys
bpy.ops.preferences.addon_enable(module="netrender_rs")
bpy.context.preferences.view.show_splash = False
bpy.ops.wm.save_userpref()
"""

SET_UP = f"""{ENABLE}
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.resolution_x, scene.render.resolution_y = 32, 24
settings = scene.render.image_settings
if hasattr(settings, "media_type"):
    settings.media_type = "MULTI_LAYER_IMAGE"
settings.file_format = "OPEN_EXR_MULTILAYER"
scene.render.filepath = sys.argv[-1]
bpy.ops.render.render(write_still=True)
"""


@pytest.fixture
def environ(screen, tmp_path):
    (tmp_path / "scripts" / "addons").mkdir(parents=True)
    (tmp_path / "scripts" / "addons" / "netrender_rs").symlink_to(ADDON)
    for name in ("config", "modules", "temporary"):
        (tmp_path / name).mkdir()
    shutil.copy(TESTS / "support" / "stub_native.py", tmp_path / "modules" / "netrender_native.py")
    return with_tests(
        {
            **{k: v for k, v in os.environ.items() if not k.startswith("NETRENDER_")},
            **screens.on(screen),
            "BLENDER_USER_SCRIPTS": str(tmp_path / "scripts"),
            "BLENDER_USER_CONFIG": str(tmp_path / "config"),
            "PYTHONPATH": str(tmp_path / "modules"),
            "XDG_DATA_HOME": str(tmp_path / "data"),
            "TMPDIR": str(tmp_path / "temporary"),
            "STUB_EXR": str(tmp_path / "picture.exr"),
        }
    )


def run(command, environ):
    done = subprocess.run(
        list(map(str, command)), env=environ, capture_output=True, text=True, timeout=180, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("native", [True, False], ids=["with native", "without native"])
def test_an_afternoon_with_the_panels(blender_program, environ, tmp_path, native):
    if not native:
        (tmp_path / "modules" / "netrender_native.py").write_text('raise ImportError("not here")')
    program = blender_program.path
    code, said = run(
        [program, "-b", "--python-exit-code", "1", "--python-expr", SET_UP, "--", environ["STUB_EXR"]],
        environ,
    )
    assert code == 0, said
    began = time.monotonic()
    story = STORIES / "panels_in_blender.py"
    code, said = run(blender_program.with_windows(story, tmp_path, simulated=True), environ)
    print(f"{time.monotonic() - began:.1f} s")
    assert code == 0, said
    assert "DONE" in said, said
    assert "Traceback" not in said, said
    assert list((tmp_path / "temporary").glob("netrender-*")) == [], "a copy of the scene stays behind"


def test_the_lists_and_their_buttons(blender_program, environ, tmp_path):
    program = blender_program.path
    code, said = run([program, "-b", "--python-exit-code", "1", "--python-expr", ENABLE], environ)
    assert code == 0, said
    story = STORIES / "lists_in_blender.py"
    code, said = run(blender_program.with_windows(story, size=(700, 1000), simulated=True), environ)
    assert code == 0, said
    assert "DONE" in said, said
    assert "Traceback" not in said, said


def test_a_switch_that_forbids_writing_is_put_right(blender_program, environ):
    program = blender_program.path
    code, said = run([program, "-b", "--python-exit-code", "1", "--python-expr", ENABLE], environ)
    assert code == 0, said
    story = STORIES / "locked_in_blender.py"
    code, said = run(blender_program.with_windows(story), environ)
    assert code == 0, said
    assert "DONE" in said, said
    assert "Traceback" not in said, said
