# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds small scenes, each with one thing that a farm may render otherwise than the artist's Blender, and
traces them: `-- FOLDER`.

Each scene says what the tracer is to find in it: `found(severity, kind, words)`, or `nothing`. Writes
FOLDER/NAME.blend and FOLDER/NAME.json, and FOLDER/expected.json: {name: [severity, kind, words]}.
"""

import ctypes
import json
import os
import sys

import bpy

from scenes import media
from support.paths import ADDON

sys.path.insert(0, str(ADDON / "trace"))
sys.path.insert(0, str(ADDON / "worker"))

import netrender_trace

FOLDER = sys.argv[sys.argv.index("--") + 1]
SCENES = {}
IS_NEW = bpy.app.version >= (5, 0)

RIG_PANEL = """
import bpy
from bpy.types import Panel
rig_id = "a1"
LOCATION = frozenset(["location"])
class RigUI(bpy.types.Panel):
    bl_label = "Rig"
    def draw(self, context):
        self.layout.prop(context.active_pose_bone, '["ik"]')
class POSE_OT_snap(bpy.types.Operator):
    bl_idname = "pose.snap_a1"
    bone: bpy.props.StringProperty(name="Bone")
    def execute(self, context):
        bpy.data.objects[self.bone].location.x = 1
        return {'FINISHED'}
classes = (RigUI, POSE_OT_snap)
def register():
    from bpy.utils import register_class
    for each in classes:
        register_class(each)
    bpy.types.WindowManager.rig_all_keys = bpy.props.BoolProperty(name="All Keys")
def unregister():
    for each in classes:
        bpy.utils.unregister_class(each)
register()
"""
HANDLER = "import bpy\ndef move(scene):\n    pass\nbpy.app.handlers.frame_change_pre.append(move)\n"


def found(severity, kind, words="", **options):
    def add(build):
        SCENES[build.__name__] = (build, [severity, kind, words], options)
        return build

    return add


def nothing(build):
    return found("", "")(build)


# ------------------------------------------------------------------------------------------------- parts


def cube():
    return bpy.data.objects["Cube"]


def scene():
    return bpy.context.scene


def gone_image(name="gone"):
    image = bpy.data.images.new(name, 4, 4)
    image.source = "FILE"
    image.filepath = f"//{name}.png"
    return image


def gone_sound():
    sound = bpy.data.sounds.load(media.make_sound(os.path.join(FOLDER, "made.wav")))
    sound.filepath = "//gone.wav"
    return sound


def gone_font():
    path = media.make_font(os.path.join(FOLDER, "gone"))
    font = bpy.data.fonts.load(path)
    os.remove(path)
    return font


def gone_clip():
    clip = bpy.data.movieclips.load(media.make_picture(os.path.join(FOLDER, "made.png"), 1))
    clip.filepath = "//gone.mp4"
    return clip


def nodes_of(block):
    if block.node_tree is None:
        block.use_nodes = True
    return block.node_tree


def textured(material, image, is_linked=True):
    tree = nodes_of(material)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    if is_linked:
        tree.links.new(node.outputs[0], tree.nodes["Principled BSDF"].inputs["Base Color"])
    return node


def with_material(thing, image):
    material = bpy.data.materials.new("Gone")
    if material.node_tree is None:
        material.use_nodes = True
    textured(material, image)
    thing.data.materials.clear()
    thing.data.materials.append(material)


def other_scene(*things):
    other = bpy.data.scenes.new("Other")
    for thing in things:
        other.collection.objects.link(thing)
    return other


def new_mesh(name="Extra"):
    return bpy.data.objects.new(name, cube().data.copy())


def new_text(font):
    curve = bpy.data.curves.new("Words", "FONT")
    curve.body, curve.font = "words", font
    return bpy.data.objects.new("Words", curve)


def compositing(where):
    if IS_NEW:
        where.compositing_node_group = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        return where.compositing_node_group
    where.use_nodes = True
    return where.node_tree


def strips_of(where):
    editor = where.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def scripted_driver(thing):
    driver = thing.driver_add("location", 0).driver
    driver.type, driver.expression = "SCRIPTED", "__import__('os').getpid()"


def style_module(where):
    text = bpy.data.texts.new("style")
    where.render.use_freestyle = True
    settings = where.view_layers[0].freestyle_settings
    settings.mode = "SCRIPT"
    settings.modules.new().script = text


def grid():
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=3, y_subdivisions=3)
    return bpy.context.object


def cloth():
    return grid().modifiers.new("Cloth", "CLOTH")


def import_node(tree):
    return tree.nodes.new("GeometryNodeImportOBJ")


def geometry(thing, *, with_input=False):
    """A modifier whose nodes hand on what its first node makes."""
    tree = bpy.data.node_groups.new("Geometry", "GeometryNodeTree")
    if hasattr(tree, "interface"):
        tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
        tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
        if with_input:
            tree.interface.new_socket("File", in_out="INPUT", socket_type="NodeSocketString")
    else:
        tree.inputs.new("NodeSocketGeometry", "Geometry")
        tree.outputs.new("NodeSocketGeometry", "Geometry")
        if with_input:
            tree.inputs.new("NodeSocketString", "File")
    modifier = thing.modifiers.new("Nodes", "NODES")
    modifier.node_group = tree
    return modifier, tree, tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")


def library(name="lib", keep=True):
    """Links the collection of a library of its own into the open scene, and instances it."""
    path = os.path.join(FOLDER, f"{name}.blend")
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(FOLDER, "making.blend"))
    mesh = bpy.data.meshes.new("Held")
    collection = bpy.data.collections.new("Held")
    collection.objects.link(bpy.data.objects.new("Held", mesh))
    bpy.data.libraries.write(path, {collection})
    for blocks, block in ((bpy.data.collections, collection), (bpy.data.objects, bpy.data.objects["Held"])):
        blocks.remove(block)
    with bpy.data.libraries.load(path, link=True, relative=False) as (_, wanted):
        wanted.collections = ["Held"]
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", bpy.data.collections["Held"]
    return empty, path


# ------------------------------------------------------------- missing, and no frame depends on it


@found("info", "missing", "no frame of this scene depends on it")
def a_reference_picture_behind_the_camera():
    bpy.data.cameras[0].background_images.new().image = gone_image()


@found("info", "missing", "no frame")
def a_clip_behind_the_camera():
    background = bpy.data.cameras[0].background_images.new()
    background.source, background.clip = "MOVIE_CLIP", gone_clip()


@found("info", "missing", "no frame")
def a_picture_kept_by_a_fake_user():
    gone_image().use_fake_user = True


@found("info", "missing", "no frame")
def a_picture_of_another_scene():
    thing = new_mesh()
    other_scene(thing)
    with_material(thing, gone_image())


@found("info", "missing", "no frame")
def a_texture_node_without_a_link():
    textured(bpy.data.materials["Material"], gone_image(), is_linked=False)


@found("info", "missing", "no frame")
def a_muted_texture_node():
    textured(bpy.data.materials["Material"], gone_image()).mute = True


@found("info", "missing", "no frame")
def a_picture_as_an_empty():
    empty = bpy.data.objects.new("Reference", None)
    empty.empty_display_type, empty.data = "IMAGE", gone_image()
    scene().collection.objects.link(empty)


@found("info", "missing", "no frame")
def a_second_scenes_font():
    other_scene(new_text(gone_font()))


@found("info", "missing", "no frame")
def a_sound_strip():
    sound = gone_sound()
    strip = strips_of(scene()).new_sound("Sound", os.path.join(FOLDER, "made.wav"), 1, 1)
    strip.sound = sound


@found("info", "missing", "no frame")
def a_speaker():
    speaker = bpy.data.speakers.new("Speaker")
    speaker.sound = gone_sound()
    scene().collection.objects.link(bpy.data.objects.new("Speaker", speaker))


@found("info", "missing", "no frame")
def a_texture_of_a_hidden_object():
    thing = new_mesh()
    thing.hide_render = True
    scene().collection.objects.link(thing)
    with_material(thing, gone_image())


@found("info", "missing", "no frame")
def a_texture_in_an_excluded_collection():
    held, thing = bpy.data.collections.new("Held"), new_mesh()
    scene().collection.children.link(held)
    held.objects.link(thing)
    bpy.context.view_layer.layer_collection.children["Held"].exclude = True
    with_material(thing, gone_image())


@found("info", "missing", "no frame")
def a_texture_in_a_hidden_collection():
    held, thing = bpy.data.collections.new("Held"), new_mesh()
    scene().collection.children.link(held)
    held.objects.link(thing)
    held.hide_render = True
    with_material(thing, gone_image())


@found("info", "missing", "no frame")
def a_brushs_texture():
    texture = bpy.data.textures.new("Texture", "IMAGE")
    texture.image = gone_image()
    brush = bpy.data.brushes.new("Brush", mode="TEXTURE_PAINT")
    brush.texture, brush.use_fake_user = texture, True


@found("info", "missing", "no frame")
def another_scenes_world():
    world = bpy.data.worlds.new("World")
    tree = nodes_of(world)
    node = tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = gone_image()
    background = next(n for n in tree.nodes if n.type == "BACKGROUND")
    tree.links.new(node.outputs[0], background.inputs[0])
    other_scene().world = world


@found("info", "missing", "no frame")
def a_group_that_nothing_uses():
    group = bpy.data.node_groups.new("Group", "ShaderNodeTree")
    group.nodes.new("ShaderNodeTexImage").image = gone_image()
    group.use_fake_user = True


@found("info", "missing", "no frame")
def a_compositor_that_is_off():
    node = compositing(scene()).nodes.new("CompositorNodeImage")
    node.image = gone_image()
    scene().render.use_compositing = False


@found("info", "missing", "no frame")
def strips_while_the_sequencer_is_off():
    strips_of(scene()).new_image("Strip", os.path.join(FOLDER, "gone", "a.png"), 1, 1)
    scene().render.use_sequencer = False


@found("info", "missing", "no frame")
def a_modifier_that_is_off_in_renders():
    modifier = cube().modifiers.new("Mesh Cache", "MESH_CACHE")
    modifier.filepath, modifier.show_render = "//gone.pc2", False


@found("info", "missing", "no frame")
def a_library_of_another_scene():
    empty, path = library("gone_elsewhere")
    other_scene(empty)
    save_and_remove(path)


@found("info", "missing", "no frame")
def a_shader_without_a_link():
    node = nodes_of(bpy.data.materials["Material"]).nodes.new("ShaderNodeScript")
    node.mode, node.filepath = "EXTERNAL", "//gone.osl"


@found("info", "scripts", "only makes panels and buttons")
def the_panel_of_a_rig():
    text = bpy.data.texts.new("rig_ui.py")
    text.write(RIG_PANEL)
    text.use_module = True


@found("info", "scripts", "no frame of this scene depends on it")
def another_scenes_driver():
    thing = new_mesh()
    other_scene(thing)
    scripted_driver(thing)


@found("info", "scripts", "no frame")
def another_scenes_style_module():
    style_module(other_scene())


@nothing
def a_cloth_that_is_hidden():
    thing = cloth().id_data
    thing.hide_render = True


@nothing
def a_cloth_of_one_frame():
    cloth()
    scene().frame_start = scene().frame_end = 1


@nothing
def a_cloth_that_was_played():
    cloth()
    for frame in range(1, scene().frame_end + 1):
        scene().frame_set(frame)


@nothing
def hair_that_does_not_move():
    cube().modifiers.new("Hair", "PARTICLE_SYSTEM").particle_system.settings.type = "HAIR"


# --------------------------------------------------------------------------- what would be wrong


@found("wrong", "missing", "")
def a_texture():
    textured(bpy.data.materials["Material"], gone_image())


@found("wrong", "missing", "")
def a_texture_that_two_use():
    """Of which one is not rendered."""
    image = gone_image()
    bpy.data.cameras[0].background_images.new().image = image
    group = bpy.data.node_groups.new("Group", "ShaderNodeTree")
    inside = group.nodes.new("ShaderNodeTexImage")
    inside.image = image
    out = group.nodes.new("NodeGroupOutput")
    if hasattr(group, "interface"):
        group.interface.new_socket("Color", in_out="OUTPUT", socket_type="NodeSocketColor")
    else:
        group.outputs.new("NodeSocketColor", "Color")
    group.links.new(inside.outputs[0], out.inputs[0])
    tree = nodes_of(bpy.data.materials["Material"])
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    tree.links.new(node.outputs[0], tree.nodes["Principled BSDF"].inputs["Base Color"])


@found("wrong", "missing", "")
def a_texture_of_an_instanced_collection():
    held, thing = bpy.data.collections.new("Held"), new_mesh()
    held.objects.link(thing)
    with_material(thing, gone_image())
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", held
    scene().collection.objects.link(empty)


@found("wrong", "missing", "")
def a_texture_of_an_object_that_appears():
    thing = new_mesh()
    scene().collection.objects.link(thing)
    thing.hide_render = True
    thing.keyframe_insert("hide_render", frame=1)
    with_material(thing, gone_image())


@found("wrong", "missing", "")
def a_texture_of_a_scene_in_the_background():
    thing = new_mesh()
    scene().background_set = other_scene(thing)
    with_material(thing, gone_image())


@found("wrong", "missing", "")
def a_font():
    scene().collection.objects.link(new_text(gone_font()))


@found("wrong", "missing", "")
def a_picture_of_the_compositor():
    tree = compositing(scene())
    node = tree.nodes.new("CompositorNodeImage")
    node.image = gone_image()
    if IS_NEW:
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        out = tree.nodes.new("NodeGroupOutput")
    else:
        out = next(n for n in tree.nodes if n.type == "COMPOSITE")
    tree.links.new(node.outputs[0], out.inputs[0])


@found("wrong", "missing", "")
def a_strip():
    strips_of(scene()).new_image("Strip", os.path.join(FOLDER, "gone", "a.png"), 1, 1)


@found("wrong", "missing", "")
def a_mesh_cache():
    cube().modifiers.new("Mesh Cache", "MESH_CACHE").filepath = "//gone.pc2"


@found("wrong", "missing", "")
def a_library():
    empty, path = library("gone_library")
    scene().collection.objects.link(empty)
    save_and_remove(path)


@found("wrong", "scripts", "is Python")
def a_driver():
    scripted_driver(cube())


@found("wrong", "scripts", "runs when the file is loaded")
def a_text_with_a_handler():
    text = bpy.data.texts.new("handlers.py")
    text.write(HANDLER)
    text.use_module = True


@found("wrong", "scripts", "style module")
def a_style_module():
    style_module(scene())


@found("wrong", "scripts", "style module")
def a_style_module_behind_a_strip():
    other = other_scene()
    style_module(other)
    strips_of(scene()).new_scene("Other", other, 1, 1)


@found("wrong", "simulation", "Cloth 'Cloth' of 'Grid': it is not baked, and frames 2-6 depend")
def a_cloth():
    cloth()


@found("wrong", "simulation", "its cache holds 3 frames, and frames 4-6 depend", frames="1-6")
def a_cloth_that_was_played_in_part():
    cloth()
    for frame in range(1, 4):
        scene().frame_set(frame)


@found("wrong", "simulation", "frames 5 depend", frames="1,5")
def a_soft_body_at_some_frames():
    grid().modifiers.new("Softbody", "SOFT_BODY")


def sparks():
    system = cube().modifiers.new("Sparks", "PARTICLE_SYSTEM").particle_system
    system.name = "Sparks"
    return system.settings


@found("wrong", "simulation", "Particles 'Sparks'")
def particles():
    sparks().brownian_factor = 1


@found("may_differ", "simulation", "Particles 'Sparks'")
def particles_that_only_fall():
    sparks()


@found("may_differ", "simulation", "its cache holds 6 frames")
def particles_that_were_played():
    sparks().brownian_factor = 1
    for frame in range(1, 7):
        scene().frame_set(frame)


@nothing
def particles_that_stay_where_they_begin():
    sparks().physics_type = "NO"


@nothing
def rigid_bodies_that_are_baked():
    rigid_bodies()
    world = scene().rigidbody_world
    with bpy.context.temp_override(point_cache=world.point_cache):
        bpy.ops.ptcache.bake(bake=True)


@found("wrong", "simulation", "Hair dynamics")
def hair_that_moves():
    system = cube().modifiers.new("Hair", "PARTICLE_SYSTEM").particle_system
    system.settings.type = "HAIR"
    system.use_hair_dynamics = True


@found("wrong", "simulation", "Dynamic paint 'Surface'")
def dynamic_paint():
    thing = grid()
    thing.modifiers.new("Paint", "DYNAMIC_PAINT")
    bpy.ops.dpaint.type_toggle(type="CANVAS")


@found("may_differ", "simulation", "stand still")
def rigid_bodies():
    bpy.context.view_layer.objects.active = cube()
    bpy.ops.rigidbody.object_add()


@found("wrong", "path", "from other nodes")
def a_path_that_nodes_make():
    if not hasattr(bpy.types, "GeometryNodeImportOBJ"):
        return False
    _, tree, _, out = geometry(cube())
    node, text = import_node(tree), tree.nodes.new("GeometryNodeStringJoin")
    tree.links.new(text.outputs[0], node.inputs["Path"])
    tree.links.new(node.outputs[0], out.inputs[0])


@found("wrong", "missing", "")
def a_path_in_a_modifier():
    if not hasattr(bpy.types, "GeometryNodeImportOBJ"):
        return False
    modifier, tree, inputs, out = geometry(cube(), with_input=True)
    modifier["Socket_2"] = os.path.join(FOLDER, "gone.obj")
    node = import_node(tree)
    tree.links.new(inputs.outputs["File"], node.inputs["Path"])
    tree.links.new(node.outputs[0], out.inputs[0])


@nothing
def a_simulation_zone_that_is_packed():
    if not hasattr(bpy.types.NodesModifier, "bake_target"):
        return False
    a_simulation_zone()
    media.save(os.path.join(FOLDER, "a_simulation_zone_that_is_packed.blend"))
    for bake in cube().modifiers["Nodes"].bakes:
        bake.bake_target = "PACKED"
        bpy.ops.object.geometry_node_bake_single(
            session_uid=cube().session_uid, modifier_name="Nodes", bake_id=bake.bake_id
        )


@nothing
def a_simulation_zone_that_is_baked_into_files():
    if not hasattr(bpy.types.NodesModifier, "bake_target"):
        return False
    a_simulation_zone()
    media.save(os.path.join(FOLDER, "a_simulation_zone_that_is_baked_into_files.blend"))
    for bake in cube().modifiers["Nodes"].bakes:
        bake.bake_target = "DISK"
        bpy.ops.object.geometry_node_bake_single(
            session_uid=cube().session_uid, modifier_name="Nodes", bake_id=bake.bake_id
        )


@found("may_differ", "simulation", "stand still")
def a_simulation_zone():
    if not hasattr(bpy.types, "GeometryNodeSimulationOutput"):
        return False
    _, tree, inputs, out = geometry(cube())
    begin, end = tree.nodes.new("GeometryNodeSimulationInput"), tree.nodes.new("GeometryNodeSimulationOutput")
    begin.pair_with_output(end)
    tree.links.new(inputs.outputs[0], begin.inputs[0])
    tree.links.new(begin.outputs[1], end.inputs[1])
    tree.links.new(end.outputs[0], out.inputs[0])


@found("wrong", "library", "pointer of Git LFS")
def a_library_that_is_a_pointer():
    empty, path = library("pointer")
    scene().collection.objects.link(empty)
    save_and_remove(path)
    media.make_text(path, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


@found("wrong", "library", "it does not hold 'Held'")
def a_library_without_what_is_linked():
    empty, path = library("poorer")
    scene().collection.objects.link(empty)
    save_and_remove(path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.data.libraries.write(path, {bpy.data.meshes.new("Other")}, fake_user=True)


@found("wrong", "nested_files", "absolute paths")
def a_shader_that_includes_an_absolute_path():
    path = os.path.join(FOLDER, "absolute.osl")
    media.make_text(path, f'#include "{FOLDER}/absolute.h"\nshader a(output color C = 0) {{ }}\n')
    shader_node(path)


@nothing
def shaders_that_include_others():
    """Each is there as source and compiled, and one source was changed since."""
    folder = os.path.join(FOLDER, "shaders")
    media.make_text(os.path.join(folder, "deep", "second.h"), "#define RED color(1, 0, 0)\n")
    media.make_text(os.path.join(folder, "first.h"), '#include "deep/second.h"\n#include "stdosl.h"\n')
    for name, source, compiled in (("changed", 2e9, 1e9), ("compiled", 1e9, 2e9), ("touched", 1e9, 1e9)):
        path = os.path.join(folder, name)
        media.make_text(f"{path}.osl", ' # include "first.h"\nshader a(output color C = 0) { C = RED; }\n')
        media.make_text(f"{path}.oso")
        for ending, time in (("osl", source), ("oso", compiled)):
            os.utime(f"{path}.{ending}", (time, time))
        shader_node(f"{path}.osl")


@found("wrong", "nested_files", "names files by absolute paths")
def a_text_with_osl_that_names_a_picture():
    text = bpy.data.texts.new("script.osl")
    text.write(f'shader a(output color C = 0) {{ C = texture("{FOLDER}/made.png", u, v); }}')
    node = shader_node("")
    node.mode, node.script = "INTERNAL", text


def usd(name, text):
    path = media.make_text(os.path.join(FOLDER, "usd", f"{name}.usda"), f"#usda 1.0\n{text}")
    bpy.ops.cachefile.open(filepath=path)
    modifier = cube().modifiers.new("Cache", "MESH_SEQUENCE_CACHE")
    modifier.cache_file = bpy.data.cache_files[-1]
    return path


@nothing
def usd_with_layers():
    media.make_text(os.path.join(FOLDER, "usd", "deep", "leaf.usda"), '#usda 1.0\ndef Xform "leaf" {}\n')
    media.make_text(
        os.path.join(FOLDER, "usd", "branch.usda"),
        '#usda 1.0\ndef "branch" (references = @deep/leaf.usda@</leaf>) {}\n',
    )
    usd("root", "( subLayers = [ @./branch.usda@ ] )\n")


@found("may_differ", "nested_files", "files that are not there: ")
def usd_without_its_layer():
    usd("alone", "( subLayers = [ @./nowhere.usda@ ] )\n")


@found("wrong", "nested_files", "names files by absolute paths")
def usd_with_an_absolute_layer():
    layer = media.make_text(os.path.join(FOLDER, "usd", "far.usda"), '#usda 1.0\ndef Xform "far" {}\n')
    usd("pointing", f"( subLayers = [ @{layer}@ ] )\n")


@found("wrong", "color_config", "Image 'strange' (?tudio Texture)")
def a_colour_space_of_a_studio():
    """As a file has it that was saved with the studio's configuration."""
    image = bpy.data.images.load(media.make_picture(os.path.join(FOLDER, "strange.png"), 1))
    image.name = "strange"
    textured(bpy.data.materials["Material"], image)
    record = image.colorspace_settings.as_pointer()
    ctypes.memmove(record, b"Studio Texture\0", 15)


def strange_node(is_linked):
    class Strange(bpy.types.Node):
        bl_idname = bl_label = "Strange"

    register(Strange)
    tree = nodes_of(bpy.data.materials["Material"])
    node = tree.nodes.new("Strange")
    node.name = "Rays"
    socket = node.outputs.new("NodeSocketColor", "C")
    if is_linked:
        tree.links.new(socket, tree.nodes["Principled BSDF"].inputs["Base Color"])


@found("wrong", "unknown_node", "'Rays' in Material 'Material'")
def a_node_of_an_add_on():
    strange_node(is_linked=True)


@found("info", "unknown_node", "no frame of this scene depends on them")
def a_node_of_an_add_on_without_a_link():
    strange_node(is_linked=False)


@found("may_differ", "unknown_node", "'Acts' is of a kind")
def a_node_tree_of_an_add_on():
    class Tree(bpy.types.NodeTree):
        bl_idname = bl_label = "ActingTree"
        bl_icon = "NODETREE"

    register(Tree)
    bpy.data.node_groups.new("Acts", "ActingTree").use_fake_user = True


def new_engine(name):
    register(type(name, (bpy.types.RenderEngine,), {"bl_idname": name, "bl_label": name}))
    return name


@found("wrong", "engine", "rendered with STRANGE, which this Blender lacks")
def an_engine_that_is_not_there():
    scene().render.engine = new_engine("STRANGE")


@found("info", "sequencer", "")
def the_add_ons_engine_in_every_scene():
    name, other = new_engine("NET_RENDER"), other_scene()
    strips_of(scene()).new_scene("Other", other, 1, 1)
    for each in (scene(), other):
        each.render.engine = name


@found("wrong", "engine", "Scene 'Other' is to be rendered with STRANGE")
def an_engine_that_is_not_there_behind_a_strip():
    other = other_scene()
    strips_of(scene()).new_scene("Other", other, 1, 1)
    other.render.engine = new_engine("STRANGE")


@found("wrong", "newer_file", "saved with Blender")
def a_file_of_a_newer_blender():
    media.save(os.path.join(FOLDER, "a_file_of_a_newer_blender.blend"))
    CURRENT.append("saved")
    make_newer(os.path.join(FOLDER, "a_file_of_a_newer_blender.blend"))


@found("wrong", "library", "it was saved with Blender")
def a_library_of_a_newer_blender():
    empty, path = library("newer")
    scene().collection.objects.link(empty)
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(FOLDER, f"{CURRENT[0]}.blend"), relative_remap=False)
    CURRENT.append("saved")
    make_newer(path)


def make_newer(blend):
    """Lets the head of a file claim two versions more, or one."""
    with open(blend, "r+b") as file:
        head = file.read(17)
        file.seek(0)
        for old, new in ((b"v304", b"v305"), (b"v0500", b"v0502")):
            head = head.replace(old, new)
        file.write(head)


@found("wrong", "simulation", "it is baked up to frame 3: frames 4-6 depend")
def smoke_that_is_simulated_as_it_plays():
    if getattr(bpy.app, "module", False):  # which dies of it
        return False
    modifier = cube().modifiers.new("Fluid", "FLUID")
    modifier.fluid_type, modifier.show_viewport = "DOMAIN", False
    domain = modifier.domain_settings
    domain.cache_type, domain.cache_directory = "REPLAY", os.path.join(FOLDER, "smoke")
    for frame in (1, 2, 3, 5):
        media.make_text(os.path.join(FOLDER, "smoke", "data", f"fluid_data_{frame:04}.vdb"))


@found("info", "output_files", "1 File Output node")
def a_file_output_node():
    compositing(scene()).nodes.new("CompositorNodeOutputFile")


@found("info", "sequencer", "1 strip")
def a_cut():
    strips_of(scene()).new_scene("Other", other_scene(), 1, 1)


def shader_node(path):
    tree = nodes_of(bpy.data.materials["Material"])
    node = tree.nodes.new("ShaderNodeScript")
    node.mode, node.filepath = "EXTERNAL", path
    socket = node.outputs.new("NodeSocketColor", "C")
    tree.links.new(socket, tree.nodes["Principled BSDF"].inputs["Base Color"])
    return node


def save_and_remove(path):
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(FOLDER, f"{CURRENT[0]}.blend"), relative_remap=False)
    os.remove(path)
    CURRENT.append("saved")


CURRENT = []
REGISTERED = []


def register(kind):
    """Registers a class of an add-on that is not there when the file is traced."""
    bpy.utils.register_class(kind)
    REGISTERED.append(kind)


def main():
    expected = {}
    for name, (build, wanted, options) in SCENES.items():
        CURRENT[:] = [name]
        bpy.ops.wm.read_factory_settings()
        bpy.context.preferences.filepaths.save_version = 0
        scene().frame_start, scene().frame_end = 1, 6
        scene().render.engine = "CYCLES"
        nodes_of(bpy.data.materials["Material"])
        blend = os.path.join(FOLDER, f"{name}.blend")
        if build() is False:
            continue
        if "saved" not in CURRENT:
            media.save(blend)
        if REGISTERED:
            bpy.ops.wm.read_factory_settings()  # a node without its class crashes 3.4
        while REGISTERED:
            bpy.utils.unregister_class(REGISTERED.pop())
        expected[name] = wanted
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        netrender_trace.main([blend, os.path.join(FOLDER, f"{name}.json"), *arguments])
    with open(os.path.join(FOLDER, "expected.json"), "w", encoding="ascii") as file:
        json.dump(expected, file)


main()
