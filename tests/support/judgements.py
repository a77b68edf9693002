"""A judged prompt, as its file has it."""

from typing import Any

from tests.prompts.judged import JudgedPrompt

ENTRY: dict[str, Any] = {"prompt": "a dog", "has": [], "purpose": None, "treat": "enrich", "never": ["@night", "fog"]}


def judged(prompt: str = "a dog", **changes: Any) -> JudgedPrompt:
    """Return a judged prompt with these changes."""
    return JudgedPrompt.model_validate({**ENTRY, "never": [], "prompt": prompt, **changes}, strict=False)
