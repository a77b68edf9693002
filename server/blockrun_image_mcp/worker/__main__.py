"""Runs the worker for `python -m blockrun_image_mcp.worker`; only the server starts it."""

import logging
import os
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import anyio

from blockrun_image_mcp.folders import NAME
from blockrun_image_mcp.settings import VARIABLES
from blockrun_image_mcp.startup import load_backend
from blockrun_image_mcp.timings import Timings
from blockrun_image_mcp.worker.loading import load_formats
from blockrun_image_mcp.worker.messages import Refused, Start, from_line, to_line
from blockrun_image_mcp.worker.work import work

_log = logging.getLogger(__name__)

_FILES = (*(VARIABLES[name] for name in VARIABLES if name.endswith("_file")), VARIABLES["spec"])
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def main() -> None:
    """Take the server's first message, and perform its calls."""
    read, write = _private_streams()
    start = _first_message(read)
    if start is None:
        return
    if start.version != version(NAME):
        os.write(write, to_line(Refused(version(NAME))))
        return
    _make_absolute()
    backend = load_backend({}, lambda _: Timings(**start.timings))
    load_formats()
    images_folder = backend.folder.folder  # resolves ".", the folder where the host started the server, before chdir
    _log.debug("pictures are saved in %s", images_folder)
    with suppress(OSError):  # the folder where the host started the server must not be held
        os.chdir(backend.ledger_path.parent)
    anyio.run(work, backend, read, write)


def _private_streams() -> tuple[int, int]:
    """Return duplicates of stdin and stdout; a stray print then goes to the log."""
    read, write = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return read, write


def _first_message(descriptor: int) -> Start | None:
    """Return the server's first message, or `None` if the server has gone."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)  # no more than the line: the rest belongs to `work`
        if not byte:
            return None
        line += byte
    message = from_line(line)
    return message if isinstance(message, Start) else None


def _make_absolute() -> None:
    """Make the names of files and `sys.path` absolute, so that they survive a change of the working folder."""
    for variable in (*_FILES, *_CERTIFICATES):
        value = os.environ.get(variable)
        if value and Path(value).exists():  # one such as ~/key stays as it is
            os.environ[variable] = str(Path(value).absolute())
    sys.path[:] = [str(Path(each).absolute()) for each in sys.path]


main()
