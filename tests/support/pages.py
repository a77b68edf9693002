"""The README and the pages in docs/, as text."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def text_of(*names: str) -> str:
    """Return the text of these pages, or of all."""
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES if not names or page.name in names)


README, EVERYTHING = text_of("README.md"), text_of()
FILES: Sequence[dict[str, Any]] = [
    json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", EVERYTHING, re.MULTILINE | re.DOTALL)
]
"""The files that the pages show."""
(CATALOGUE,) = (file for file in FILES if "x-models" in file)
"""The one of them that describes models."""
