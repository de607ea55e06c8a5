"""Cloud images: Debian's dated ones by image name, or one by URL (or path); always with a digest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lab.model.errors import ConfigError, PreconditionError
from lab.model.machine import Arch, MachineSpec

DEBIAN: Final = "https://cloud.debian.org/images/cloud"
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
# (image, arch) -> dated image below DEBIAN, and its digest as Debian published it
IMAGES: Final[dict[tuple[str, Arch], tuple[str, str]]] = {
    ("debian-11", "x86_64"): (
        "bullseye/20260707-2532/debian-11-genericcloud-amd64-20260707-2532.qcow2",
        (
            "sha512:6cf25158a6ccce87079f3f6f6a1fe0c93942eb38af9cd216e54b4a60c4a61c3f76bb41eac4a4d8fbc4f995d82f0a128df0242dfb"
            "558393134ff97819cdd167b2"
        ),
    ),
    ("debian-11", "aarch64"): (
        "bullseye/20260707-2532/debian-11-genericcloud-arm64-20260707-2532.qcow2",
        (
            "sha512:58d760c247cae37bd98567b403bb263e85b27ea93813d3fe0e17fbb03dacbec6171dee787c1427760e7bf595f7213cbaa9571dbd"
            "fb58413d61f8a75e69b9ff46"
        ),
    ),
    ("debian-12", "x86_64"): (
        "bookworm/20260712-2537/debian-12-genericcloud-amd64-20260712-2537.qcow2",
        (
            "sha512:6c2607f1846ee86040830c87d0b723f0967da3e884ea4673d9db4aa8eee13a4b7c663524bfa42082c16fc6919f3aa1bf425c004d"
            "07ff06c53a319ad0c42647bb"
        ),
    ),
    ("debian-12", "aarch64"): (
        "bookworm/20260712-2537/debian-12-genericcloud-arm64-20260712-2537.qcow2",
        (
            "sha512:52eb678130e85a9bf9f3cf4f7181e060fa60a5db45373717474c5ff9305645c5e6cab8b05ca042bcfa7921d2ca29cf9fd2e815f7"
            "5abe2d168557ad7207af127b"
        ),
    ),
    ("debian-13", "x86_64"): (
        "trixie/20260712-2537/debian-13-genericcloud-amd64-20260712-2537.qcow2",
        (
            "sha512:7ae53e9dbee282bfc16f289dec483dde3a8598769c38a267948310f7a2a52c662620198603bc52c142627efba379863d16079698"
            "a10b34102d55bcedd40e8d32"
        ),
    ),
    ("debian-13", "aarch64"): (
        "trixie/20260712-2537/debian-13-genericcloud-arm64-20260712-2537.qcow2",
        (
            "sha512:8543d795f2fde630eb66c492f245a8c1da19dedc636e0a8e7b3d0f95920e1a05aa911ef2d82d177d41cc53ced5fccbd2a3945d07"
            "fa5e15018914c4d864bb07ed"
        ),
    ),
}
NAMES: Final[dict[Arch, tuple[str, ...]]] = {"x86_64": ("amd64", "x86_64", "x86-64"), "aarch64": ("arm64", "aarch64")}


def image(spec: MachineSpec) -> dict[str, str]:
    """The image's location, arch and digest. Raises ConfigError (no such image, source without a digest)."""
    if not spec.source:
        if (spec.image, spec.arch) not in IMAGES:
            known = ", ".join(sorted({name for name, _ in IMAGES}))
            message = f"there is no {spec.arch} cloud image {spec.image}"
            raise ConfigError(message, fix=f"--image one of {known}, or --source and --digest")
        path, digest = IMAGES[spec.image, spec.arch]
        return {"location": f"{DEBIAN}/{path}", "arch": spec.arch, "digest": digest}
    if not DIGEST.fullmatch(spec.digest):
        why = f"{spec.digest!r} is not a valid digest" if spec.digest else "a custom image needs a digest"
        raise ConfigError(f"{spec.source}: {why}", fix="--digest sha256:HEX or sha512:HEX")
    local = "://" not in spec.source
    where = str(Path(spec.source).expanduser().absolute()) if local else spec.source
    return {"location": where, "arch": spec.arch, "digest": spec.digest}


def check_name(spec: MachineSpec) -> None:
    """Raise PreconditionError when the file's name contains another architecture, before anything is fetched."""
    name = Path(spec.source).name.lower()  # the folders that it is in tell nothing
    named = {arch for arch, words in NAMES.items() if any(word in name for word in words)}
    if named and spec.arch not in named:
        message = f"{name} is for {', '.join(named)}, this machine is {spec.arch}"
        raise PreconditionError(message, fix=f"use the image for {spec.arch}, or --arch {named.pop()}")
