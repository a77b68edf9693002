"""The results of the tools that make and price images, complete both as structured content and as text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

from blockrun_image.enrichment import EnrichedPrompt
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.pricing import Estimate, range_text
from blockrun_image.text import usd, within

_MAX_REVISION_BYTES = 4_000


class Result(Protocol):
    """A tool's result in two forms; hosts pass either to their models."""

    def to_dict(self) -> dict[str, object]:
        """Return the result as structured content."""
        ...

    def to_text(self) -> str:
        """Return the result as text."""
        ...


@dataclass(frozen=True)
class GeneratedImages:
    """Generated pictures and their cost.

    `charged_usd` is `None` if the gateway did not report it. On the sandbox, `charged_usd` is only simulated.
    `is_collected` is true if an earlier call paid for the pictures.
    """

    request: ImageRequest
    prompt: EnrichedPrompt
    images: Sequence[Image]
    estimate: Estimate
    charged_usd: Decimal | None
    gateway: str
    warnings: Sequence[str] = ()
    is_sandbox: bool = False
    is_collected: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return the result as structured content; amounts are decimal strings."""
        return {"status": "complete", "images": [_image(image) for image in self.images], **self._about(self._cost())}

    def to_text(self) -> str:
        """Return the result as text: charge in the first line, URLs in the last ones.

        Some hosts show only the first line, others only the last three.
        """
        return "\n".join([self._first_line(), *self._revisions(), *self._details(), *self._addresses()])

    def _about(self, cost: Mapping[str, object]) -> dict[str, object]:
        quality = {} if self.request.quality is None else {"quality": self.request.quality}
        warnings = self._all_warnings()
        return {
            "model": self.request.model,
            "size": self.request.size,
            **quality,
            **({"parameters": dict(self.request.parameters)} if self.request.parameters else {}),
            **({"started_from": [picture.source for picture in self.request.images]} if self.request.images else {}),
            **self.prompt.to_short_dict(),
            "cost": cost,
            "gateway": self.gateway,
            **({"warnings": warnings} if warnings else {}),
        }

    def _details(self) -> list[str]:
        sources = ", ".join(picture.source for picture in self.request.images)
        started_from = [f"Started from: {sources}"] if sources else []
        warnings = [f"Warning: {warning}" for warning in self._all_warnings()]
        set_to = ", ".join(f"{name} {value}" for name, value in self.request.parameters)
        parameters = [f"Parameters: {set_to}"] if set_to else []
        return [*parameters, *started_from, *self.prompt.to_lines(), *warnings]

    def _all_warnings(self) -> list[str]:
        return [*self.prompt.notes, *self.warnings]

    def _first_line(self) -> str:
        pictures = "1 image" if len(self.images) == 1 else f"{len(self.images)} images"
        made = f"{pictures} by {self.estimate.label()}"
        charged = None if self.charged_usd is None else f"${usd(self.charged_usd)}"
        if self.is_sandbox:  # before all others: a simulated charge must not look real
            return f"{made}. Sandbox: nothing was charged (a real call: {charged or self.estimate.price_text()})."
        if self.is_collected:
            return f"{made}, paid by an earlier call{f' ({charged})' if charged else ''}; nothing more was charged."
        if charged is None:
            return f"{made}. The gateway did not report the charge (estimated {self.estimate.price_text()})."
        return f"{made}, charged {charged}."

    def _revisions(self) -> list[str]:
        only = len(self.images) == 1
        return [
            f"{'Revised prompt' if only else f'Revised prompt of image {number}'}: {image.revised_prompt}"
            for number, image in enumerate(self.images, start=1)
            if image.revised_prompt
        ]

    def _addresses(self) -> list[str]:
        return [
            line
            for image in self.images
            for line in (image.url or "", *([f"Saved: {image.path}"] if image.path else []))
        ]

    def _cost(self) -> dict[str, object]:
        """Return the charge and the estimate.

        On the sandbox, the charge is zero, and the gateway's charge is only simulated.
        """
        charged = {} if self.charged_usd is None else {"charged_usd": usd(self.charged_usd)}
        if self.is_sandbox:
            charged = {"charged_usd": usd(Decimal(0)), **({"simulated_usd": charged["charged_usd"]} if charged else {})}
        return {**charged, **self.estimate.cost()}


@dataclass(frozen=True)
class PendingImages(GeneratedImages):
    """Pictures still in progress, with `held_usd` set aside.

    An identical call collects them.
    """

    held_usd: Decimal = Decimal(0)

    def to_dict(self) -> dict[str, object]:
        """Return the result as structured content; amounts are decimal strings."""
        cost = {"held_usd": usd(self.held_usd), **self.estimate.cost()}
        return {"status": "pending", "next_step": _COLLECT, **self._about(cost)}

    def to_text(self) -> str:
        """Return the result as text, with the next step in the first and last line.

        Some hosts cut the text between.
        """
        set_aside = "sandbox: no money" if self.is_sandbox else f"${usd(self.held_usd)} is set aside"
        first = f"Pending: {self.estimate.label()} is still being made ({set_aside})."
        return "\n".join([first, *self._details(), _COLLECT])


_COLLECT = "Repeat the call unchanged within a day to collect it without paying again."


@dataclass(frozen=True)
class CostComparison:
    """Estimates of one or more models, cheapest first, and their prompts, if any.

    `more` is the number of estimates left out, none of them known to be cheaper.
    """

    estimates: Sequence[Estimate]
    prompts: Mapping[str, EnrichedPrompt] = field(default_factory=dict[str, EnrichedPrompt])
    warnings: Sequence[str] = ()
    more: int = 0

    def to_dict(self) -> dict[str, object]:
        """Return the result as structured content; amounts are decimal strings.

        The prompt is the cheapest model's; models that would get another one are listed separately.
        """
        answer: dict[str, object] = {"estimates": [each.to_dict() for each in self.estimates]}
        if self.more:
            answer["more"] = self.more
        warnings = list(self.warnings)
        if self.prompts:
            first, *others = self._groups()
            answer |= first.prompt.to_dict()
            answer |= {"other_prompts": [each.to_dict() for each in others]} if others else {}
            warnings = [*first.prompt.notes, *warnings]
        return answer | ({"warnings": warnings} if warnings else {})

    def to_text(self) -> str:
        """Return the result as text: estimates, their bases, and the prompts."""
        bases = dict.fromkeys(each.basis for each in self.estimates)
        warnings = [f"Warning: {warning}" for warning in self.warnings]
        more = [f"{self.more} more models, none of them known to be cheaper."] if self.more else []
        return "\n".join([*(self._line(each) for each in self.estimates), *more, *bases, *self._dry_run(), *warnings])

    def _dry_run(self) -> Sequence[str]:
        """Return the lines about each prompt, without repetitions."""
        groups = self._groups()
        return list(dict.fromkeys(line for group in groups for line in group.to_lines()))

    def _groups(self) -> Sequence["_Group"]:
        """Return the different prompts, each with its models."""
        models: dict[str, list[str]] = {}
        for estimate in self.estimates:
            if estimate.model in self.prompts:
                models.setdefault(self.prompts[estimate.model].prompt, []).append(estimate.model)
        return [_Group(ids, self.prompts[ids[0]]) for ids in models.values()]

    def _line(self, each: Estimate) -> str:
        return f"{each.label()}, n={each.n}: {each.price_text()}"


@dataclass(frozen=True)
class _Group:
    """Models with the same prompt."""

    models: Sequence[str]
    prompt: EnrichedPrompt

    def to_dict(self) -> dict[str, object]:
        return {"models": list(self.models), "sent": self.prompt.shown()}

    def to_lines(self) -> Sequence[str]:
        warnings = [f"Warning: {warning}" for warning in self.prompt.notes]
        return [f"Prompt for {', '.join(self.models)}: {self.prompt.shown()}", *self.prompt.to_full_lines(), *warnings]


def _image(image: Image) -> dict[str, object]:
    path = {} if image.path is None else {"path": str(image.path)}
    revised = {} if image.revised_prompt is None else {"revised_prompt": image.revised_prompt}
    # URLs are never shortened: each is the only way to a paid picture.
    return {"url": image.url, **path, **revised}


def with_telling_revisions(prompt: EnrichedPrompt, images: Sequence[Image]) -> Sequence[Image]:
    """Return the images with new revisions of the prompt only, cut to fit a result."""
    known = {prompt.prompt, prompt.original, "", None}
    max_bytes = _MAX_REVISION_BYTES // len(images)
    shortened: list[Image] = []
    for image in images:
        revision = None if image.revised_prompt in known else image.revised_prompt
        known.add(image.revised_prompt)
        shortened.append(replace(image, revised_prompt=revision and within(revision, max_bytes)))
    return shortened


def warnings_about(expected: Estimate, response: ImagesResponse) -> Sequence[str]:
    """Return the response's warnings, and what it lacks or costs beyond the estimate."""
    warnings = list(response.warnings)
    if len(response.images) < expected.n:
        warnings.append(f"Asked for {expected.n} images, received {len(response.images)}.")
    charged = response.charged_usd
    if charged is not None and expected.high_usd is not None and charged > expected.high_usd:
        estimated = range_text(expected.low_usd, expected.high_usd)
        warnings.append(f"${usd(charged)} was charged, more than the estimate of {estimated}.")
    return warnings
