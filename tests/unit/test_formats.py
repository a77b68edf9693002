"""The bound of a picture's size: one for all that fetch, read and show pictures, and the one in the documentation."""

from pathlib import Path

from blockrun_image_mcp.formats import MAX_PICTURE_BYTES
from blockrun_image_mcp.gateway import fetch
from blockrun_image_mcp.images import page, store

SERVER = Path(fetch.__file__).parents[1]
DOCS = Path(__file__).parents[2] / "docs" / "pictures.md"


def test_one_bound_holds_for_fetching_reading_and_showing() -> None:
    assert {fetch.MAX_PICTURE_BYTES, store.MAX_PICTURE_BYTES, page.MAX_PICTURE_BYTES} == {MAX_PICTURE_BYTES}
    assigned = [path for path in SERVER.rglob("*.py") if "MAX_PICTURE_BYTES = " in path.read_text("utf-8")]
    assert [path.name for path in assigned] == ["formats.py"]


def test_documentation_states_the_bound() -> None:
    assert f"A picture has at most {MAX_PICTURE_BYTES // 2**20} MiB" in DOCS.read_text("utf-8")
