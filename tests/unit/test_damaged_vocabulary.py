"""A vocabulary that cannot be read: one example of each kind of damage. Others are tried by mutation."""

import json
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import pytest

from blockrun_image.enrichment.tips import Tips

Damage = Callable[[dict[str, Any]], object]


DAMAGES: Sequence[tuple[Damage, str]] = [
    (lambda data: data.pop("purposes"), "purposes: there is no 'purposes'"),
    (lambda data: data["purposes"].popitem(), "purposes: they are not those that can be asked for"),
    (lambda data: data.update(purposes=None), "purposes: 'NoneType' object is not iterable"),
    (lambda data: data["opt_outs"].append(""), "terms: '', a term of opt_out, has no words"),
]


def vocabulary() -> dict[str, Any]:
    return json.loads(resources.files("blockrun_image").joinpath("prompt_tips.json").read_text("utf-8"))


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_damage_is_named_with_its_place(damage: Damage, words: str) -> None:
    data = vocabulary()
    damage(data)
    with pytest.raises(ValueError, match=words):
        Tips.read(data)
