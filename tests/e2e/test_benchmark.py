"""What the server costs: the benchmark runs, sizes keep to their bounds, and listing the tools loads nothing heavy."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.process import ServerProcess
from tests.support.platforms import only_on_linux
from tests.support.processes import process_environment

pytestmark = only_on_linux("/proc, which tells what a process costs")

ROOT = Path(__file__).parents[2]
OURS = Path(sys.executable).with_name("blockrun-image-mcp")
FLOOR = ROOT / "tests/benchmarks/floor_server.py"
COMPARED = {
    "start_wall_ms",
    "start_cpu_ms",
    "start_rss_mb",
    "start_uss_mb",
    "start_peak_rss_mb",
    "packages",
    "installed_mb",
}
TIMED = {"first_call_overhead_ms", "call_overhead_ms", "upstream_ms", "enrich_ms", "enrich_slowest_ms"}
SIZED = {
    "tools_tokens",
    "generate_image_tokens",
    *(f"result{many}_{part}bytes" for many in ("", "_of_10") for part in ("", "fixed_", "text_", "structured_")),
}
MORE_THAN_THE_FLOOR = {"blockrun_image", "blockrun_image_mcp", "difflib", "gc", "platformdirs"}


def test_benchmark_measures_everything_and_sizes_stay_within_bounds() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--rounds", "1", "--calls", "3", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=process_environment({}), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    figures = json.loads(done.stdout)
    assert set(figures) == COMPARED | TIMED | SIZED
    assert all(0 < figure["ours"]["minimum"] <= figure["ours"]["median"] for figure in figures.values())
    assert {name for name, figure in figures.items() if "ratio" in figure} == COMPARED
    assert {name for name in SIZED if not figures[name].get("within", True)} == set()


def test_listing_the_tools_imports_little_more_than_mcp_itself(tmp_path: Path) -> None:
    ours, floor = (imported_to_list_the_tools(script, tmp_path / "imports") for script in (OURS, FLOOR))
    assert "blockrun_image" in ours
    assert "mcp" in floor
    assert ours - floor <= MORE_THAN_THE_FLOOR


def imported_to_list_the_tools(script: Path, log: Path) -> set[str]:
    """Return the names, up to their first dot, of all that a server imports."""
    with log.open("wb") as stderr, ServerProcess([sys.executable, "-v", str(script)], {}, stderr) as server:
        server.request("tools/list")
    return set(re.findall(r"^import '?(\w+)", log.read_text(encoding="utf-8"), re.MULTILINE))
