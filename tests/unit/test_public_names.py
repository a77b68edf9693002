from typing import Any

import pytest

import blockrun_image


def members(name: str) -> dict[str, Any]:
    kind: type = getattr(blockrun_image, name)
    return dict(vars(kind))


def test_public_names_are_sorted_and_unique() -> None:
    assert list(blockrun_image.__all__) == sorted(set(blockrun_image.__all__))


@pytest.mark.parametrize("name", blockrun_image.__all__)
def test_every_public_name_exists_and_has_its_own_docstring(name: str) -> None:
    described = getattr(blockrun_image, name).__doc__
    assert described
    assert not described.startswith(f"{name}("), "the signature that a dataclass writes for want of a docstring"


@pytest.mark.parametrize("name", blockrun_image.__all__)
def test_every_public_method_and_property_has_a_docstring(name: str) -> None:
    methods = [
        (member, value.__doc__)
        for member, value in members(name).items()
        if not member.startswith("_") and (callable(value) or isinstance(value, property | classmethod))
    ]
    assert [member for member, words in methods if not words] == []
