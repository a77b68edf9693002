"""Reads the image API's description (OpenAPI 3.1), the one place where its models, prices and limits are written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, cast

from blockrun_image.errors import SpecError
from blockrun_image.text import clean


@dataclass(frozen=True)
class Spec:
    """The API's description, and where it was read from."""

    document: Mapping[str, Any]
    source: str

    @classmethod
    def load(cls, path: Path | None = None) -> "Spec":
        """Read the packaged description, or the file at `path`.

        Raises `SpecError` when the file cannot be read or lacks what the tools are derived from.
        """
        source = str(path) if path else "the built-in openapi.json"
        file = path or resources.files("blockrun_image").joinpath("openapi.json")
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SpecError(f"Cannot read {source}: {clean(error, 200)}") from error
        spec = cls(document, source)
        spec.check()
        return spec

    def check(self) -> None:
        """Raise `SpecError` unless everything that the tools are derived from is there."""
        try:
            _ = (self.request, self.response, self.image, self.base_url, self.margin, self.currency, self.errors)
            has_models = bool(self.models)
        except (KeyError, TypeError, AttributeError, IndexError, InvalidOperation) as error:
            raise SpecError(f"{self.source} lacks {clean(error, 100)}") from error
        if not has_models:
            raise SpecError(f"{self.source} lists no models under x-models")

    @property
    def models(self) -> Mapping[str, Mapping[str, Any]]:
        """Each model's entry by its id, in the order of the file."""
        return dict(self.document["x-models"])

    @property
    def request(self) -> Mapping[str, Mapping[str, Any]]:
        """The JSON Schema of each property of a generation request."""
        return dict(self._schema("ImageGenerationRequest")["properties"])

    @property
    def response(self) -> Mapping[str, Mapping[str, Any]]:
        """The JSON Schema of each property of a generation's answer."""
        return dict(self._schema("ImageGenerationResponse")["properties"])

    @property
    def image(self) -> Mapping[str, Mapping[str, Any]]:
        """The JSON Schema of each property of one image in an answer."""
        return dict(self._schema("Image")["properties"])

    @property
    def base_url(self) -> str:
        """The API's own base URL."""
        return str(self.document["servers"][0]["url"])

    @property
    def generations_path(self) -> str:
        """The path of the one operation, below a base URL."""
        return next(iter(self.document["paths"]))

    @property
    def margin(self) -> Decimal:
        """The share that is added to a model's list price: 0.05 is 5 %."""
        return Decimal(self.document["x-pricing"]["margin"])

    @property
    def currency(self) -> str:
        """The currency of all prices."""
        return str(self.document["x-pricing"]["currency"])

    @cached_property
    def errors(self) -> Mapping[int, Mapping[str, Any]]:
        """For each error status of the API, its `description` and an `example` body."""
        operation = self.document["paths"][self.generations_path]["post"]
        refused = {
            int(status): self._resolve(body) for status, body in operation["responses"].items() if status != "200"
        }
        return {
            status: {
                "description": body["description"],
                "example": body["content"]["application/json"]["example"],
            }
            for status, body in refused.items()
        }

    def _schema(self, name: str) -> Mapping[str, Any]:
        return self.document["components"]["schemas"][name]

    def _resolve(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = node.get("$ref")
        if reference is None:
            return node
        target: Any = self.document
        for step in str(reference).removeprefix("#/").split("/"):
            target = target[step]
        return cast("Mapping[str, Any]", target)
