# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tracer says of rendering a frame in parts: whether it can be, and if not, why."""

import json

import pytest

from support.paths import ADDON

PLACES = [str(ADDON / name) for name in ("trace", "worker")]

# {case: what is told of the scene after its lines}; null where this Blender lacks what they set.
TELL = """
import json, sys
import bpy

sys.path[:0] = json.loads(sys.argv[-2])
import netrender_worker_denoise
from netrender_trace_split import split

find_library = netrender_worker_denoise.find_library


class Without:
    '''A thing of an older Blender.'''

    def __init__(self, thing, name, **others):
        self.__dict__.update(others)
        self.__dict__["_thing"], self.__dict__["_name"] = thing, name

    def __getattr__(self, name):
        if name == self._name:
            raise AttributeError(name)
        return getattr(self._thing, name)


def material(name, kind):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    made.use_fake_user = True
    tree = made.node_tree
    output = next(n for n in tree.nodes if n.type == "OUTPUT_MATERIAL")
    tree.links.new(tree.nodes.new(kind).outputs[0], output.inputs["Volume"])


told = {}
for case, lines in json.loads(sys.argv[-1]).items():
    bpy.ops.wm.read_factory_settings()
    netrender_worker_denoise.find_library = find_library
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    render, cycles, layer = scene.render, scene.cycles, scene.view_layers[0]
    cycles.samples = 64
    cycles.use_adaptive_sampling = cycles.use_denoising = False
    there = {"bpy": bpy, "scene": scene, "render": render, "cycles": cycles, "layer": layer}
    there.update(material=material, Without=Without)
    try:
        exec(lines, there)
        told[case] = split(there["scene"])
    except (AttributeError, TypeError) as error:
        print(case, error)
        told[case] = None
print("TOLD", json.dumps(told))
"""

SEQUENCE = """
editor = scene.sequence_editor_create()
strips = editor.strips if hasattr(editor, "strips") else editor.sequences
new = strips.new_effect
try:
    new("Colour", "COLOR", 1, 1, frame_end=9)
except TypeError:
    new("Colour", "COLOR", 1, 1, length=9)
"""
COMPOSITOR = """
if hasattr(scene, "compositing_node_group"):
    tree = scene.compositing_node_group = bpy.data.node_groups.new("Grading", "CompositorNodeTree")
    tree.nodes.new("CompositorNodeRLayers")
else:
    scene.use_nodes = True
"""
OTHER_SCENE = """
tree = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
tree.nodes.new("CompositorNodeRLayers").scene = bpy.data.scenes.new("Other")
"""
REGION = "render.use_border = True; render.border_min_x = 0.2; render.border_max_x = 0.8\n"
BACK = "back = scene.view_layers.new('Back'); back.samples = 40\n"
FOG = "material('Fog', 'ShaderNodeVolumeScatter')\n"
# Older Blenders lack it, but let it be set.
UNBIASED = "cycles.volume_biased; cycles.volume_biased = False\n"
# As Blender was when its patterns followed the number of samples and it could not be told of a subset.
OLDER = "cycles.use_sample_subset; scene = Without(scene, '', cycles=Without(cycles, 'use_sample_subset'))\n"

IDENTICAL = {
    "plain": "",
    "denoising of a layer that is not": "layer.cycles.use_denoising = True",
    "denoising of a layer not rendered": "cycles.use_denoising = True; layer.cycles.use_denoising = False",
    "denoising passes": "layer.cycles.denoising_store_passes = True",
    "denoising": "cycles.denoising_quality; cycles.use_denoising = layer.cycles.use_denoising = True",
    "compositor": COMPOSITOR,
    "compositor with a cropped region": COMPOSITOR + REGION + "render.use_crop_to_border = True",
    "region": REGION,
    "compositor off": COMPOSITOR + "render.use_compositing = False",
    "sequencer off": SEQUENCE + "render.use_sequencer = False",
    "sequencer empty": "scene.sequence_editor_create()",
    "light": "layer.use_pass_glossy_direct = layer.use_pass_glossy_color = True",
    "vector that motion blur leaves empty": "layer.use_pass_vector = render.use_motion_blur = True",
    "mist of a layer not rendered": "scene.view_layers.new('Off').use_pass_mist = True\n"
    "scene.view_layers['Off'].use = False",
    "animated seed": "cycles.use_animated_seed = True; cycles.keyframe_insert('seed', frame=1)",
    "biased volume": "cycles.volume_biased; cycles.volume_biased = True\n" + FOG,
    "volume of nothing": UNBIASED + FOG + "bpy.data.materials['Fog'].use_fake_user = False",
    "layers": BACK,
    "old pattern, few samples": OLDER + "cycles.sampling_pattern = 'TABULATED_SOBOL'; cycles.samples = 256",
}
EQUIVALENT = {
    "old pattern": OLDER + "cycles.sampling_pattern = 'BLUE_NOISE'",
    "many samples": OLDER + "cycles.sampling_pattern = 'TABULATED_SOBOL'; cycles.samples = 257",
}
# Lines, and what must be named.
NONE = {
    "other engine": ("render.engine = 'BLENDER_WORKBENCH'", "Only Cycles"),
    "no Cycles": ("scene = Without(scene, 'cycles')", "Only Cycles"),
    "one sample": ("cycles.samples = 1", "one sample"),
    "another denoiser": ("cycles.denoising_quality\n"
                         "cycles.use_denoising = layer.cycles.use_denoising = True\n"
                         "scene = Without(scene, '', cycles=Without(cycles, '', denoiser='OPTIX'))",
                         "Open Image Denoise"),
    "no library": ("import netrender_worker_denoise; netrender_worker_denoise.find_library = lambda: None\n"
                   "cycles.use_denoising = layer.cycles.use_denoising = True\n"
                   "scene = Without(scene, '', cycles=Without(cycles, '', denoiser='OPENIMAGEDENOISE'))",
                   "Blender 4.0"),
    "another scene": (COMPOSITOR + OTHER_SCENE, "'Other'"),
    "compositor in a region": (COMPOSITOR + REGION, "Render Region"),
    "sequencer": (SEQUENCE, "sequencer"),
    "freestyle": ("render.use_freestyle = True", "Freestyle"),
    "adaptive": ("cycles.use_adaptive_sampling = True", "Adaptive sampling"),
    "time limit": ("cycles.time_limit = 5", "Time Limit"),
    "guiding": ("cycles.use_guiding = True", "guiding"),
    "scrambling": ("cycles.auto_scrambling_distance = True", "Scrambling Distance"),
    "catcher pass": ("layer.cycles.use_pass_shadow_catcher = True", "pass Shadow Catcher"),
    "catcher": ("bpy.data.objects['Cube'].is_shadow_catcher = True", "'Cube'"),
    "mist": ("layer.use_pass_mist = True", "Mist"),
    "vector": ("layer.use_pass_vector = True; render.use_motion_blur = False", "Vector"),
    "light": ("layer.use_pass_diffuse_indirect = True", "Diffuse Color"),
    "unbiased volume": (UNBIASED + FOG, "material 'Fog'"),
    "volume object": (UNBIASED + "bpy.ops.object.volume_add()", "object 'Volume'"),
    "keyed samples": ("cycles.keyframe_insert('samples', frame=1)", "cycles.samples"),
    "driven layer": (BACK + "back.driver_add('samples')", "Back"),
    "a range": ("cycles.sample_offset = 8\nif hasattr(cycles, 'use_sample_subset'):\n"
                "    cycles.use_sample_subset = True", "some of its samples"),
    "too many": (BACK + "back.samples = 65", "more than the scene's 64"),
}  # fmt: skip


# What is no obstacle to tiles, of the above; with how many lines around each tile.
TILES = {
    "one sample": 0, "adaptive": 8, "catcher pass": 0, "catcher": 0, "mist": 0, "vector": 0, "light": 0,
    "keyed samples": 0, "driven layer": 0, "a range": 0, "too many": 0,
}  # fmt: skip
TILES_TOO = {
    "plain": ("", 0),
    "denoising": (IDENTICAL["denoising"], 0),
    "compositor": (COMPOSITOR, 0),
    "keyed adaptive": ("cycles.keyframe_insert('use_adaptive_sampling', frame=1)", 8),
    "large, not adaptive": ("render.resolution_x = 4096", 0),
    "old pattern": (EQUIVALENT["old pattern"], 0),
}
NO_TILES = {
    "region": (REGION, "tile already"),
    "small": ("render.resolution_y = 63", "too small"),
    "keyed denoising": ("cycles.keyframe_insert('use_denoising', frame=1)", "cycles.use_denoising"),
    "denoised catcher": (
        IDENTICAL["denoising"] + "; bpy.data.objects['Cube'].is_shadow_catcher = True",
        "'Cube'",
    ),
    "counting": (
        "cycles.use_adaptive_sampling = layer.cycles.pass_debug_sample_count = True",
        "Sample Count",
    ),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """{Blender: {case: what it tells}}; all cases in one process."""
    script = tmp_path_factory.mktemp("split") / "tell.py"
    script.write_text(TELL)
    cases = {f"none {case}": lines for case, (lines, _) in NONE.items()}
    cases |= {f"identical {case}": lines for case, lines in IDENTICAL.items()}
    cases |= {f"equivalent {case}": lines for case, lines in EQUIVALENT.items()}
    cases |= {f"tiles {case}": lines for case, (lines, _) in (TILES_TOO | NO_TILES).items()}
    cases["tiles large"] = "render.resolution_x = 4096; cycles.use_adaptive_sampling = True"
    cases |= {
        f"layers {rule}": f"{BACK}cycles.use_layer_samples = '{rule}'"
        for rule in ("USE", "BOUNDED", "IGNORE")
    }
    cases["blue noise"] = "cycles.sampling_pattern = 'BLUE_NOISE'"
    cases["sobol"] = "cycles.sampling_pattern = 'SOBOL'"
    cases["layers BOUNDED beyond"] = BACK + "back.samples = 99; cycles.use_layer_samples = 'BOUNDED'"
    cache = {}

    def tell(blender):
        if blender not in cache:
            said = blender.run(script, json.dumps(PLACES), json.dumps(cases))
            print(said)
            cache[blender] = json.loads(next(s for s in said.splitlines() if s.startswith("TOLD "))[5:])
        return cache[blender]

    return tell


def there(told, blender, case):
    """What is told of a case, or None if an old Blender lacks what it is about."""
    found = told(blender)[case]
    assert found is not None or blender.version < (5,), case
    return found


def test_frames_that_parts_make_identical(any_blender, told):
    for case in IDENTICAL:
        if found := there(told, any_blender, f"identical {case}"):
            assert (found["grade"], found["why"]) == ("identical", ""), case
            assert found["is_adaptive"] is False


def test_frames_whose_parts_have_other_noise(any_blender, told):
    for case in EQUIVALENT:
        if found := there(told, any_blender, f"equivalent {case}"):
            assert found["grade"] == "equivalent", case
            assert found["is_subset"] is False
            assert "Tabulated Sobol" in found["why"]


def test_frames_that_are_rendered_whole_and_why(any_blender, told):
    for case, (_, word) in NONE.items():
        if found := there(told, any_blender, f"none {case}"):
            assert found["grade"] == "none", case
            assert word in found["why"], case
            assert found["why"].count(".") <= 2, f"{case}: one reason, not more: {found['why']}"
    assert told(any_blender)["none adaptive"]["is_adaptive"] is True


def test_frames_that_tiles_make_identical(any_blender, told):
    cases = {f"none {case}": overlap for case, overlap in TILES.items()}
    cases |= {f"tiles {case}": overlap for case, (_, overlap) in TILES_TOO.items()}
    for case, overlap in cases.items():
        if found := there(told, any_blender, case):
            assert found["tiles"] == {"grade": "identical", "why": "", "overlap": overlap}, case


def test_frames_that_are_not_cut_into_tiles_and_why(any_blender, told):
    cases = {f"none {case}": word for case, (_, word) in NONE.items() if case not in TILES}
    cases |= {f"tiles {case}": word for case, (_, word) in NO_TILES.items()}
    for case, word in cases.items():
        if found := there(told, any_blender, case):
            found = found["tiles"]
            assert found["grade"] == "none", case
            assert word in found["why"] or case == "none compositor in a region", case
            assert found["why"].count(".") <= 2, f"{case}: one reason, not more: {found['why']}"


def test_large_frames_have_seams_of_their_own(any_blender, told):
    found = told(any_blender)["tiles large"]["tiles"]
    assert (found["grade"], found["overlap"]) == ("equivalent", 8)
    assert "Tile Size of 2048" in found["why"]


def test_how_many_samples_a_frame_has(any_blender, told):
    everything = told(any_blender)
    plain = everything["identical plain"]
    assert (plain["samples"], plain["layers"]) == (64, {})
    assert plain["is_subset"] == (any_blender.version >= (5,))
    # Up to 256 samples the usual patterns are the same however many there are; blue noise never is.
    assert plain["can_grow_to"] == 256
    if any_blender.version >= (5,):
        assert everything["blue noise"]["can_grow_to"] == 0
    else:
        assert everything["sobol"]["can_grow_to"] == 2**24
    assert everything["layers USE"]["layers"] == everything["layers BOUNDED"]["layers"] == {"Back": 40}
    assert everything["layers IGNORE"]["layers"] == everything["layers BOUNDED beyond"]["layers"] == {}
    assert everything["layers BOUNDED beyond"]["grade"] == "identical"
    assert everything["layers BOUNDED beyond"]["can_grow_to"] == 99
    assert everything["none other engine"]["samples"] == 0


def test_what_follows_when_all_samples_are_there(any_blender, told):
    def follows(case):
        found = there(told, any_blender, f"identical {case}")
        return found and (found["finishes"], found["denoises"])

    assert follows("plain") == follows("compositor off") == (False, False)
    assert follows("denoising of a layer not rendered") in ((False, False), None)
    assert follows("compositor") == (True, False)
    assert follows("denoising") in ((True, True), None)
