"""The enricher as it was when it still added a style, a composition and a light to most prompts.

It is run from the repository's own history, and so only where that history is there: a shallow clone lacks it.
"""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.prompts.judged import JudgedPrompt
from tests.prompts.trial import Enrich

from blockrun_image.enrichment import Addition, EnrichedPrompt

COMMIT = "0163bcc"

_ROOT = Path(__file__).parents[2]
_SERVE = """
import json, sys
from dataclasses import asdict
from blockrun_image import enrich
for line in sys.stdin:
    asked = json.loads(line)
    found = enrich(asked.pop("prompt"), **asked)
    print(json.dumps(asdict(found)), flush=True)
"""


@contextmanager
def enricher_of(commit: str = COMMIT) -> Generator[Enrich | None]:
    """Run the enricher of a commit in a process of its own; there is none if the commit is not there."""
    code = _code_of(commit)
    if code is None:
        yield None
        return
    with TemporaryDirectory() as folder, tarfile.open(fileobj=BytesIO(code)) as archive:
        archive.extractall(folder, filter="data")
        command = [sys.executable, "-c", _SERVE]
        environment = os.environ | {"PYTHONPATH": str(Path(folder) / "tools"), "PYTHONIOENCODING": "utf-8"}
        with subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        ) as process:
            yield lambda judged, text: _asked(process, judged, text)
            process.communicate()


def _code_of(commit: str) -> bytes | None:
    """Return the archive of a commit's tools, if git and the commit are there."""
    try:
        done = subprocess.run(["git", "archive", commit, "tools"], cwd=_ROOT, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _asked(process: subprocess.Popen[str], judged: JudgedPrompt, text: str) -> EnrichedPrompt:
    assert process.stdin is not None
    assert process.stdout is not None
    call = {"prompt": text, "model": judged.model, "size": judged.size, **judged.arguments.model_dump()}
    process.stdin.write(f"{json.dumps(call)}\n")
    process.stdin.flush()
    found = json.loads(process.stdout.readline())
    return EnrichedPrompt(
        prompt=found["prompt"],
        original=found["original"],
        applied=[Addition(**each) for each in found["applied"]],
        present=found["present"],
        missing=found["missing"],
        reason=found["reason"],
    )
