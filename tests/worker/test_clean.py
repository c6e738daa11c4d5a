# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's Blender is a clean one: neither what its machine's user has nor Python that a scene brings along
changes a picture, and no engine takes another one's place."""

import contextlib
import textwrap

from support import film
from support.paths import ADDON
from support.worker import Worker

# What a slave's user may have in the folder of start-up scripts: all that comes after it is changed by it.
HOSTILE = """
import bpy
from bpy.app.handlers import persistent


@persistent
def spoil(*_):
    for scene in bpy.data.scenes:
        scene.cycles.samples = 1
        scene.render.resolution_percentage = 50
        scene.display.render_aa = "OFF"
    for thing in bpy.data.objects:
        thing.scale = (0.3, 0.3, 0.3)


def register():
    handlers = bpy.app.handlers
    for name in ("load_pre", "load_post", "render_init", "render_pre", "frame_change_pre", "frame_change_post",
                 "depsgraph_update_pre", "depsgraph_update_post", "version_update"):
        getattr(handlers, name).append(spoil)
    system, experimental = bpy.context.preferences.system, bpy.context.preferences.experimental
    system.gl_texture_limit = "CLAMP_128"
    system.anisotropic_filter = "FILTER_0"
    system.gl_clip_alpha = 0.9
    system.use_gpu_subdivision = False
    system.light_ambient = (1, 0, 0)
    for light in system.solid_lights:
        light.diffuse_color = light.specular_color = (1, 0, 0)
    system.use_studio_light_edit = True
    for name in ("use_full_frame_compositor", "use_realtime_compositor"):
        if hasattr(experimental, name):
            setattr(experimental, name, True)
    print("HOSTILE START-UP", flush=True)
"""


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def test_nothing_of_the_slaves_user_changes_a_picture(blender, tmp_path):
    # Given a scene, and a slave whose user has handlers and preferences of all kinds
    blend = blender.build_small(tmp_path / "artist", "file-output")
    write(tmp_path / "scripts" / "startup", "mine.py", HOSTILE)
    cold = blender.render_cold(blend, 3, tmp_path / "cold.exr")
    environ = {
        "BLENDER_USER_SCRIPTS": str(tmp_path / "scripts"),
        "BLENDER_USER_CONFIG": str(tmp_path / "config"),
    }
    with contextlib.closing(Worker(blender, tmp_path / "worker", **environ)) as worker:
        assert blender.is_python or "HOSTILE START-UP" in worker.printed()  # the module has no user
        loaded = worker.load(blend)["ok"]
        assert (loaded["width"], loaded["height"]) == (16, 12)
        assert "ok" in worker.render(3, tmp_path / "film.exr")
    # Then the film is the artist's
    film.assert_same_pixels(tmp_path / "film.exr", cold)


CLEANED = """
    import sys
    sys.path.insert(0, sys.argv[-1])
    import bpy, netrender_worker_clean as clean

    def values():
        preferences = bpy.context.preferences
        return {
            (group, name): list(value) if hasattr(value, "__len__") and not isinstance(value, str) else value
            for group, names in clean.FACTORY.items()
            for name in names
            if (value := getattr(getattr(preferences, group), name, None)) is not None
        }

    factory = values()
    clean.reset_preferences()
    assert len(factory) > 10, factory
    assert values() == factory, (factory, values())
"""


def test_preferences_of_a_factory_blender_stay_as_they_are(blender, tmp_path):
    blender.run_forked(write(tmp_path, "cleaned.py", CLEANED), ADDON / "worker")


STYLES = """
    import bpy, sys
    folder = sys.argv[-1]

    def with_style(scene, ran):
        scene.render.engine, scene.render.use_freestyle = "CYCLES", True
        scene.render.resolution_x = scene.render.resolution_y = 16
        scene.cycles.samples, scene.cycles.use_denoising = 1, False
        text = bpy.data.texts.new("style")
        text.write(f"open({ran!r}, 'w')\\n")
        settings = scene.view_layers[0].freestyle_settings
        settings.mode = "SCRIPT"
        module = settings.modules.new()
        module.script, module.use = text, True
        return scene

    bpy.ops.wm.read_factory_settings()
    with_style(bpy.context.scene, folder + "/ran-linked").name = "Linked"
    bpy.ops.wm.save_as_mainfile(filepath=folder + "/lib.blend")
    bpy.ops.wm.read_factory_settings()
    main = with_style(bpy.context.scene, folder + "/ran-main")
    main.name = "Main"
    with bpy.data.libraries.load(folder + "/lib.blend", link=True) as (_, want):
        want.scenes = ["Linked"]
    if hasattr(main, "compositing_node_group"):
        tree = main.compositing_node_group = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        out = tree.nodes.new("NodeGroupOutput")
    else:
        main.use_nodes = True
        tree = main.node_tree
        tree.nodes.clear()
        out = tree.nodes.new("CompositorNodeComposite")
    own = tree.nodes.new("CompositorNodeRLayers")
    other = tree.nodes.new("CompositorNodeRLayers")
    other.scene = want.scenes[0]
    both = tree.nodes.new("CompositorNodeAlphaOver")
    tree.links.new(own.outputs["Image"], both.inputs[1])
    tree.links.new(other.outputs["Image"], both.inputs[2])
    tree.links.new(both.outputs[0], out.inputs[0])
    bpy.ops.wm.save_as_mainfile(filepath=folder + "/main.blend")
"""


def test_style_modules_run_only_where_scripts_do(blender, worker, tmp_path):
    # Given a scene whose Freestyle runs Python, and one linked into it that does, too
    blender.run_forked(write(tmp_path, "styles.py", STYLES), tmp_path)
    ran = [tmp_path / "ran-main", tmp_path / "ran-linked"]
    for path in ran:
        path.unlink(missing_ok=True)
    for scripts in (False, True):
        assert "ok" in worker.load(tmp_path / "main.blend", scripts=scripts)
        assert "ok" in worker.render(1, tmp_path / "1.exr")
        assert [path.exists() for path in ran] == [scripts, scripts]


ENGINES = """
    import bpy, sys
    blend, other_engine, choice = sys.argv[-3:]
    bpy.ops.wm.read_factory_settings()
    for name in ("ALIEN", "NET_RENDER"):
        bpy.utils.register_class(type(name, (bpy.types.RenderEngine,), {"bl_idname": name, "bl_label": name}))
    main = bpy.context.scene
    main.render.engine, main.cycles.samples = "CYCLES", 1
    main.cycles.use_denoising = False
    main.render.resolution_x = main.render.resolution_y = 16
    main.render.use_sequencer = True
    other = main.copy()
    main.name, other.name = "Main", "Other"
    other.render.engine = other_engine
    if choice != "none":
        job = type("Job", (bpy.types.PropertyGroup,), {"__annotations__": {"engine": bpy.props.EnumProperty(
            items=[(n, n, "") for n in ("SCENE", "CYCLES", "EEVEE", "WORKBENCH")])}})
        bpy.utils.register_class(job)
        all = type("All", (bpy.types.PropertyGroup,), {"__annotations__": {"job": bpy.props.PointerProperty(type=job)}})
        bpy.utils.register_class(all)
        bpy.types.Scene.netrender = bpy.props.PointerProperty(type=all)
        other.netrender.job.engine = choice
    editor = main.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_scene("Other", other, 1, 1)
    bpy.ops.wm.save_as_mainfile(filepath=blend)
"""


def test_no_engine_takes_another_ones_place(blender, worker, tmp_path):
    # Given scenes that show another one, of an engine that this Blender lacks, or of the add-on's
    script = write(tmp_path, "engines.py", ENGINES)

    def film_of(engine, choice="none"):
        blend = tmp_path / f"{engine}-{choice}.blend"
        blender.run_forked(script, blend, engine, choice)
        answer = worker.load(blend, engine="CYCLES")
        if "error" in answer:
            return answer["error"]
        output = tmp_path / f"{engine}-{choice}.exr"
        assert "ok" in worker.render(1, output)
        return output

    refused = film_of("ALIEN")
    assert refused["kind"] == "missing_engine"
    assert "'ALIEN', which scene 'Other' needs" in refused["message"]
    right = film_of("CYCLES")
    for choice in ("none", "CYCLES"):
        film.assert_same_pixels(film_of("NET_RENDER", choice), right)
    # And the scene itself, when nothing else was asked for
    refused = worker.load(tmp_path / "ALIEN-none.blend", scene="Other")["error"]
    assert refused["kind"] == "missing_engine"
    assert "'ALIEN'" in refused["message"]
