"""A judged prompt, as its file has it."""

from typing import Any

from tests.prompts.judged import JudgedPrompt

ENTRY: dict[str, Any] = {"prompt": "a dog", "has": [], "helps": ["@close", "low sun"], "never": ["@night", "fog"]}


def judged(prompt: str = "a dog", **changes: Any) -> JudgedPrompt:
    """Return a judged prompt with these changes; nothing helps or harms it, but for them."""
    return JudgedPrompt.model_validate({"prompt": prompt, "has": [], "helps": [], "never": [], **changes}, strict=False)
