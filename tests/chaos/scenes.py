# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent, and how to tell whether a film is the right one: made-up scenes for the fake Blender, whose films
follow from their bytes, and a small real one, whose films are held against those this machine renders by itself."""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

from support import fake_blender, film
from support.api import digest_of
from support.blender import find_module, find_program
from support.paths import SCENES

TEXTURE_BYTES = 200_000
ADDED_BYTES = 1_000_000


@dataclass
class Wish:
    """A job somebody wants, and what became of it. Its name is its own."""

    name: str
    blend: Path
    frames: list[int]
    chunk: int
    priority: int
    added: Path | None = None
    look: str = ""
    attempts: int = 0
    answered: list[int] = field(default_factory=list)
    canceled: bool = False

    @property
    def frame_list(self):
        return f"{self.frames[0]}-{self.frames[-1]}"

    @property
    def bytes(self):
        return (self.added or self.blend).stat().st_size


class FakeScenes:
    blender = fake_blender.FAKE
    has_api = True

    def __init__(self, folder, chance):
        self.folder = folder
        folder.mkdir()
        self.textures = {f"wood{n}.png": chance.randbytes(TEXTURE_BYTES) for n in range(3)}
        for name, content in self.textures.items():
            (folder / name).write_bytes(content)

    def wish(self, name, chance):
        count = chance.randint(20, 100)
        texture = chance.choice(sorted(self.textures.items()))
        first = chance.randint(1, 1000)
        frames = list(range(first, first + count))
        content = fake_blender.scene(
            f"{first}-{frames[-1]}", name, texture, chance.randint(50_000, 1_500_000)
        )
        blend = self.folder / f"{name}.blend"
        blend.write_bytes(content)
        look = fake_blender.look_of(content, texture[1])
        return Wish(name, blend, frames, chance.randint(1, 8), chance.randint(30, 70), look=look)

    def send_by_hand(self, api, wish):
        """Everything but the job itself, over the bare interface; the job's description."""
        head = fake_blender.head_of(content := wish.blend.read_bytes())
        files = [wish.blend, self.folder / head["texture"]]
        digests = api.put_pieces(content, self.textures[head["texture"]])
        assets = [
            {
                "source": str(file),
                "place": str(file).lstrip("/"),
                "digest": digest,
                "bytes": file.stat().st_size,
                "pieces": 1,
            }
            for file, digest in zip(files, digests, strict=True)
        ]
        manifest = {"version": 2, "blend": assets[0]["place"], "assets": assets, "paths": []}
        return {
            "name": wish.name,
            "frames": wish.frame_list,
            "chunk": wish.chunk,
            "priority": wish.priority,
            "engine": fake_blender.ENGINE,
            "blender": fake_blender.VERSION[:2],
            "width": fake_blender.WIDTH,
            "height": fake_blender.HEIGHT,
            "manifest": api.put_blob(json.dumps(manifest).encode()),
        }

    def film(self, wish, frame):
        return fake_blender.film(wish.look, frame)

    def problem(self, wish, frame, data):
        """What is wrong with the film, or nothing."""
        right = digest_of(self.film(wish, frame))
        return "" if digest_of(data) == right else f"its digest is {digest_of(data)}, not {right}"


class RealScenes:
    has_api = False

    def __init__(self, folder, chance):
        self.folder = folder
        folder.mkdir()
        self.program = find_program() or find_module()
        assert self.program, "there is no Blender: put one on the PATH or name it in $BLENDER"
        self.blender = self.program.path
        self.scene = folder / "small.blend"
        self.program.run(SCENES / "small.py", self.scene, folder / "texture.png")
        self._local = {}
        self._lock = threading.Lock()

    def wish(self, name, chance):
        first = chance.randint(1, 5)
        frames = list(range(first, first + chance.randint(4, 8)))
        # The scene is the same for all; this is what takes time to send.
        added = self.folder / f"{name}.bin"
        added.write_bytes(chance.randbytes(ADDED_BYTES))
        return Wish(name, self.scene, frames, chance.randint(1, 3), chance.randint(30, 70), added=added)

    def problem(self, wish, frame, data):
        with self._lock:
            if frame not in self._local:
                self._local |= self.program.render_local(self.scene, [frame], self.folder / "local")
        # Several frames are looked at together.
        ours = self.folder / f"{wish.name}-{frame}.exr"
        ours.write_bytes(data)
        apart = film.difference(ours, self._local[frame])
        ours.unlink()
        return "" if apart == 0.0 else f"it differs from a local render by {apart}"
