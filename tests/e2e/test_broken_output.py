"""Commands whose output cannot be written."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.commands import run
from tests.support.platforms import only_on_linux
from tests.support.processes import process_environment


@only_on_linux("/dev/full")
def test_paid_picture_outlives_an_output_on_a_full_disk(tmp_path: Path) -> None:
    settings = {"HOME": str(tmp_path)}
    generate = ["generate", "a fox", "--model", "nano-banana", "--sandbox"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "blockrun_image_mcp", *generate],
            env=process_environment(settings),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=50,
        )
    assert (ended.returncode, ended.stderr.count(b"cannot be written"), b"Traceback" in ended.stderr) == (1, 1, False)
    assert "a fox" in json.dumps(json.loads(run("images", "--sandbox", "--json", settings=settings).stdout))
