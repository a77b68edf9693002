"""Checks the folder of the ledger for known problems.

Other programs may see another folder there, or its locks may not work.
"""

import ctypes
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from blockrun_image.text import clean
from blockrun_image_mcp.folders import NAME
from blockrun_image_mcp.settings import VARIABLES

_NETWORKED = re.compile(
    r"nfs\d?|cifs|smb\w*|afpfs|webdav|davfs\d?|9p|drvfs|virtiofs|vboxsf|afs|ceph|glusterfs|lustre|fuse\.(sshfs|rclone|s3fs)"
)
"""The names of network file systems on Linux and macOS."""

_SYNCHRONISED = re.compile(
    r"onedrive\b.*|dropbox\b.*|google drive|googledrive\b.*|my drive|icloud ?drive|mobile documents|cloudstorage"
    r"|nextcloud\d?|owncloud|syncthing|pcloud ?drive|proton ?drive\b.*|box|box sync|creative cloud files",
    re.IGNORECASE,
)
"""The names of folders synchronised with other machines."""

_MAX_SHOWN = 3
_IN_ALL = f"Set {VARIABLES['state_dir']} to one folder for all programs."
_ONE_MACHINE = f"Set {VARIABLES['state_dir']} to one folder on this machine's own disk for all programs."


def folder_risks(folder: Path, environ: Mapping[str, str], *, is_named: bool) -> Sequence[str]:
    """Return the doubts about the folder of the ledger, as sentences.

    `folder` is a real path. `is_named` is whether a setting names it.
    """
    risks: list[str] = []
    if is_on_network(folder):
        risks.append(f"It is on another machine, where locks may not work. {_ONE_MACHINE}")
    if any(_SYNCHRONISED.fullmatch(part) for part in folder.parts):
        risks.append(f"A program seems to copy it to other machines, which breaks a ledger. {_ONE_MACHINE}")
    if sys.platform == "win32" and "appdata" in map(str.lower, folder.parts):
        risks.append(f"Packaged programs, such as Claude Desktop, see another folder under AppData. {_ONE_MACHINE}")
    if not is_named:  # a folder from a setting is the same for every program with that setting
        risks += _other_ledgers(folder, environ)
    return risks


def is_on_network(folder: Path) -> bool:
    """Return whether a folder is on another machine, as far as the system knows."""
    if sys.platform == "win32":
        return folder.drive.startswith("\\\\") or _is_remote_drive(folder.anchor)
    mounts = dict(_mounts())
    return next((_is_networked(mounts[each]) for each in (folder, *folder.parents) if each in mounts), False)


def _is_networked(kind: str) -> bool:
    return _NETWORKED.fullmatch(kind) is not None


def _is_remote_drive(anchor: str) -> bool:
    if sys.platform != "win32":
        return False
    return ctypes.windll.kernel32.GetDriveTypeW(anchor) == 4  # DRIVE_REMOTE


def _mounts() -> Iterator[tuple[PurePath, str]]:
    """Yield the mount point and the kind of each file system.

    At the same mount point, a later file system hides an earlier one.
    """
    if sys.platform == "darwin":
        for mount in re.finditer(r"^.+? on (.+) \(([^,)]+)", _mount_output(), re.MULTILINE):
            yield PurePath(mount[1]), mount[2]
        return
    try:
        text = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape")
    except OSError:
        return
    for mount in re.finditer(r"^\S+ (\S+) (\S+)", text, re.MULTILINE):
        # spaces and the like are escaped in octal
        yield PurePath(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount[1])), mount[2]


def _mount_output() -> str:
    try:
        done = subprocess.run(["/sbin/mount"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "surrogateescape")


def _other_ledgers(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each other ledger of programs started outside this terminal."""
    try:
        home = Path.home()
    except RuntimeError:
        return
    usual = home / ("Library/Application Support" if sys.platform == "darwin" else ".local/state") / NAME
    if environ.get("XDG_STATE_HOME", "").strip() and sys.platform != "win32" and folder != usual.resolve():
        yield f"Hosts started from the desktop do not get XDG_STATE_HOME: they use {clean(usual, 200)}. {_IN_ALL}"
    for path in [*home.glob(f".var/app/*/.local/state/{NAME}/ledger.sqlite3")][:_MAX_SHOWN]:
        if path.parent.resolve() != folder:
            yield f"A program in a Flatpak keeps another ledger: {clean(path, 200)}. {_IN_ALL}"
