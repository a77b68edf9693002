"""What people on Windows and macOS install from wheels, and so without a compiler; `make wheels` runs it.

For each system, Python and extra, uv resolves what the project needs as people install it, in the newest versions. A
package whose version has no wheel there is built from source. That is a gap, also where an older version has a wheel.
"""

import itertools
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click

ROOT = Path(__file__).parents[1]
SYSTEMS = {
    "Windows x64": "x86_64-pc-windows-msvc",
    "Windows arm64": "aarch64-pc-windows-msvc",
    "macOS arm64": "aarch64-apple-darwin",
    "macOS x86_64": "x86_64-apple-darwin",
}
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = ("", "wallet")


class Gap(NamedTuple):
    """A package that is built from source."""

    package: str
    has_older: bool
    """Whether an older version of it has a wheel."""

    def __str__(self) -> str:
        return f"{self.package} has no wheel{', and an older version has one' if self.has_older else ''}"


KNOWN: Mapping[tuple[str, str], frozenset[Gap]] = {
    ("Windows arm64", "wallet"): frozenset({Gap("ckzg", has_older=False)}),
}
"""The gaps that are there, by system and extra; whoever changes this corrects the docs too."""


@dataclass(frozen=True)
class Place:
    """Where something is installed: a system, a Python, and what is installed besides the server."""

    system: str
    python: str
    extra: str = ""

    def __str__(self) -> str:
        return f"{self.system}, Python {self.python}{f', with {self.extra}' if self.extra else ''}"


@dataclass(frozen=True)
class Answer:
    """The versions that people get, and for those without a wheel the older one that has a wheel, if there is one."""

    versions: Mapping[str, str]
    older: Mapping[str, str | None]

    @property
    def gaps(self) -> frozenset[Gap]:
        """What is built from source."""
        return frozenset(Gap(name, has_older=version is not None) for name, version in self.older.items())

    def __str__(self) -> str:
        told = [
            f"{name} {self.versions[name]} has no wheel, {f'but {version} has' if version else 'nor has an older one'}"
            for name, version in sorted(self.older.items())
        ]
        return f"{len(self.versions)} packages, {'; '.join(told) or 'all from wheels'}"


def ask(place: Place, needed: Path = ROOT / "pyproject.toml", index: Sequence[str] = ()) -> Answer:
    """Return what people get in a place; `index` are options of uv that say where packages are."""
    packages = _resolve(place, needed, index)
    lacking = [name for name, package in packages.items() if "wheels" not in package]
    older: dict[str, str | None] = {}
    for name in lacking:
        try:
            older[name] = _resolve(place, needed, [*index, "--only-binary", name])[name]["version"]
        except click.ClickException as error:
            if "no usable wheels" not in error.message:
                raise
            older[name] = None
    return Answer({name: package["version"] for name, package in packages.items()}, older)


def _resolve(place: Place, needed: Path, options: Sequence[str]) -> Mapping[str, Any]:
    """Return each package by its name, as a pylock.toml for this place describes it: with the wheels that fit there."""
    uv = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--format", "pylock.toml"]
    where = ["--python", sys.executable, "--python-platform", SYSTEMS[place.system], "--python-version", place.python]
    extra = ["--extra", place.extra] if place.extra else []
    done = subprocess.run(
        [*uv, *where, *extra, *options, str(needed)], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise click.ClickException(f"{place}: {done.stderr}")
    return {package["name"]: package for package in tomllib.loads(done.stdout)["packages"]}


def changes(found: Mapping[Place, frozenset[Gap]]) -> Iterator[str]:
    """Yield each gap that is there and not known, and each that is known and no longer there."""
    for place, gaps in found.items():
        known = KNOWN.get((place.system, place.extra), frozenset())
        yield from (f"{place}: {gap}" for gap in sorted(gaps - known))
        yield from (f"{place}: it is no longer so that {gap}" for gap in sorted(known - gaps))


@click.command()
def main() -> None:
    """Print what is installed from wheels, and fail if that is not as it is known to be."""
    places = [Place(*each) for each in itertools.product(SYSTEMS, PYTHONS, EXTRAS)]
    with ThreadPoolExecutor(8) as threads:
        answers = dict(zip(places, threads.map(ask, places), strict=True))
    for place, answer in answers.items():
        click.echo(f"{place}: {answer}")
    changed = list(changes({place: answer.gaps for place, answer in answers.items()}))
    if changed:
        said = "".join(f"\n  {change}" for change in changed)
        raise click.ClickException(f"This has changed; correct the docs, and KNOWN in tests/wheels.py:{said}")


if __name__ == "__main__":
    main()
