"""What is measured once, because it is always the same: packages, tokens and bytes."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

import bpe_openai  # pyright: ignore[reportMissingTypeStubs]
from tests.benchmarks.process import ServerProcess
from tests.benchmarks.report import Figure
from tests.benchmarks.rounds import PICTURE, generate
from tests.benchmarks.subjects import Subjects

_MANY = {**PICTURE, "n": 10}

_ENVIRONMENT = """
import importlib.metadata, json, pathlib, sysconfig
files = pathlib.Path(sysconfig.get_path("purelib")).rglob("*")
size = sum(file.stat().st_size for file in files if file.is_file())
print(json.dumps([len(list(importlib.metadata.distributions())), size / 1e6]))
"""


def size_figures(subjects: Subjects, server: ServerProcess) -> list[Figure]:
    """Measure the environments, the tools as a model sees them, and results."""
    return [
        *_environment_figures(subjects),
        *_token_figures(server),
        *_result_figures("result", generate(server, PICTURE), most=1200),
        *_result_figures("result_of_10", generate(server, _MANY)),
    ]


def _environment_figures(subjects: Subjects) -> Iterable[Figure]:
    ours, floor = (_environment(python) for python in (subjects.python, subjects.floor_python))
    for name, our, its in zip(("packages", "installed_mb"), ours, floor, strict=True):
        yield Figure(name, [our], [its])


def _environment(python: str) -> list[float]:
    """Return how many packages an interpreter sees, and how many MB they are with their bytecode."""
    return json.loads(subprocess.run([python, "-c", _ENVIRONMENT], capture_output=True, check=True).stdout)


def _token_figures(server: ServerProcess) -> Iterable[Figure]:
    listed = json.loads(server.request("tools/list"))["result"]["tools"]
    seen = [
        {"name": each["name"], "description": each["description"], "input_schema": each["inputSchema"]}
        for each in listed
    ]
    yield Figure("tools_tokens", [_tokens(seen)], most=830)
    yield Figure(
        "generate_image_tokens", [_tokens(each) for each in seen if each["name"] == "generate_image"], most=600
    )


def _tokens(value: object) -> int:
    return len(bpe_openai.get_encoding("o200k_base").encode(json.dumps(value, separators=(",", ":"))))


def _result_figures(name: str, line: bytes, most: float | None = None) -> Iterable[Figure]:
    result = json.loads(line)["result"]
    content = result["structuredContent"]
    yield Figure(f"{name}_bytes", [len(line)])
    yield Figure(f"{name}_fixed_bytes", [len(_fixed(line.decode(), content))], most=most)
    yield Figure(f"{name}_text_bytes", [sum(len(block["text"].encode()) for block in result["content"])])
    yield Figure(f"{name}_structured_bytes", [len(_compact(content).encode())])


def _fixed(line: str, content: Mapping[str, Any]) -> bytes:
    """Return a result's line without what differs from call to call: prompts, what was added to them, and URLs."""
    images: list[dict[str, str]] = content["images"]
    prompt: dict[str, Any] = content["prompt"]
    added = [addition["text"] for addition in content.get("applied", [])]
    variable = {
        prompt["sent"],
        prompt.get("original", ""),
        *added,
        *(value for image in images for value in image.values()),
    }
    for words in sorted(filter(None, variable), key=len, reverse=True):  # a revised prompt may hold the prompt
        line = line.replace(_compact(words)[1:-1], "")
    return line.encode()


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
