"""Launches the worker's process, which outlives the server."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blockrun_image_mcp.files import make_folder

COMMAND = (sys.executable, "-P", "-m", "blockrun_image_mcp.worker")
"""The worker's command; -P keeps modules out that lie in the folder where the host starts the server."""

LOG = "worker.log"
"""The name of the worker's log, in the ledger's folder."""

_MAX_LOG_BYTES = 2**20


@dataclass(frozen=True)
class Launched:
    """A process, and this process's ends of its two pipes."""

    process: "subprocess.Popen[bytes]"
    read: int
    write: int


def launch(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Launched:
    """Start the command with pipes as its stdin and stdout, and a log in `folder` as its stderr. Raises `OSError`.

    It holds none of this process's own streams, and gets no signal of the terminal or of the host's process group.
    """
    its_stdin, write = os.pipe()
    read, its_stdout = os.pipe()
    log = _open_log(folder)
    try:
        return Launched(_start(command, environment, its_stdin, its_stdout, log), read, write)
    except BaseException:
        os.close(read)
        os.close(write)
        raise
    finally:
        for descriptor in (its_stdin, its_stdout, log):
            os.close(descriptor)


def _open_log(folder: Path) -> int:
    """Open the log, emptied if it is large, or the null device if it cannot be opened."""
    path = folder / LOG
    with suppress(OSError):
        make_folder(folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(path, flags, 0o600)
        if os.fstat(descriptor).st_size > _MAX_LOG_BYTES:
            os.truncate(path, 0)
        return descriptor
    return os.open(os.devnull, os.O_WRONLY)


if sys.platform == "win32":

    def _start(
        command: Sequence[str], environment: Mapping[str, str], stdin: int, stdout: int, stderr: int
    ) -> "subprocess.Popen[bytes]":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        for more in (subprocess.CREATE_BREAKAWAY_FROM_JOB, 0):  # a Windows job object may forbid that
            try:
                return subprocess.Popen(  # noqa: S603 - our own command
                    command, env=environment, stdin=stdin, stdout=stdout, stderr=stderr, creationflags=flags | more
                )
            except PermissionError:
                if not more:
                    raise
        raise PermissionError

else:

    def _start(
        command: Sequence[str], environment: Mapping[str, str], stdin: int, stdout: int, stderr: int
    ) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - our own command
            command, env=environment, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
