# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the add-on and the wheels of a folder into one zip: `FOLDER`. Its content is the same for
the same input.

One folder at the top, as Blender before 4.2 wants it; Blender 4.2 and later find the manifest in
there. The versions of all parts must be one.
"""

import re
import sys
import zipfile
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[2]
ADDON = ROOT / "addon" / "netrender_rs"
LEFT_OUT = {"__pycache__", "wheels"}
# Blender's words for the last tag of a wheel.
PLATFORMS = {
    r"(many)?linux.*_x86_64": "linux-x64",
    r"(many)?linux.*_aarch64": "linux-arm64",
    r"macosx_.*_arm64": "macos-arm64",
    r"macosx_.*_x86_64": "macos-x64",
    r"win_amd64": "windows-x64",
    r"win_arm64": "windows-arm64",
}
WHEN = (2020, 1, 1, 0, 0, 0)


def versions():
    """{where it is written: the version}"""
    manifest = tomllib.loads((ADDON / "blender_manifest.toml").read_text())
    info = re.findall(r'"version": \((\d+), (\d+), (\d+)\)', (ADDON / "__init__.py").read_text())
    return {
        "Cargo.toml": tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"],
        "pyproject.toml": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
        "blender_manifest.toml": manifest["version"],
        "__init__.py": ".".join(info[0]),
    }


def platform_of(wheel):
    tag = wheel.stem.rsplit("-", 1)[-1]
    for pattern, name in PLATFORMS.items():
        if re.fullmatch(pattern, tag):
            return name
    sys.exit(f"package: {wheel.name} is for no system that Blender knows")


def manifest_with(wheels):
    """The add-on's manifest, with its wheels and the systems they are for."""
    text = (ADDON / "blender_manifest.toml").read_text()
    names = ", ".join(f'"./wheels/{wheel.name}"' for wheel in wheels)
    platforms = ", ".join(f'"{name}"' for name in sorted({platform_of(wheel) for wheel in wheels}))
    text, replaced = re.subn(
        r"^platforms = .*$", f"platforms = [{platforms}]\nwheels = [{names}]", text, flags=re.M
    )
    assert replaced == 1, "the manifest has one line with platforms"
    tomllib.loads(text)
    return text


def files():
    for path in sorted(ADDON.rglob("*")):
        inside = path.relative_to(ADDON)
        if path.is_file() and not LEFT_OUT & set(inside.parts) and inside.name != "blender_manifest.toml":
            yield inside, path


def add(archive, name, content, packed=True):
    entry = zipfile.ZipInfo(f"netrender_rs/{name}", WHEN)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    archive.writestr(entry, content)


def main(folder):
    found = versions()
    if len(set(found.values())) != 1:
        sys.exit("package: the versions differ: " + ", ".join(f"{v} in {k}" for k, v in found.items()))
    wheels = sorted(folder.glob("netrender_rs-*.whl"))
    if not wheels:
        sys.exit(f"package: there is no wheel in {folder}")
    names = "-".join(sorted({platform_of(wheel) for wheel in wheels}))
    made = folder / f"netrender_rs-{found['Cargo.toml']}-{names}.zip"
    with zipfile.ZipFile(made, "w") as archive:
        add(archive, "blender_manifest.toml", manifest_with(wheels))
        add(archive, "LICENSE", (ROOT / "LICENSE").read_bytes())
        for inside, path in files():
            add(archive, inside.as_posix(), path.read_bytes())
        for wheel in wheels:
            add(archive, f"wheels/{wheel.name}", wheel.read_bytes(), packed=False)
    for path in [*wheels, made]:
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


main(Path(sys.argv[1]))
