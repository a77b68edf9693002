"""Logs to stderr, with secrets redacted."""

import json
import logging
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from blockrun_image.errors import ImageError
from blockrun_image.text import usd

if TYPE_CHECKING:
    from blockrun_image.images import ImagesResponse

# a presigned URL's signature looks like a private key, but its picture is lost without it; a cut text may end inside a
# Solana array
_SECRET_SHAPES = re.compile(
    r"brk_[A-Za-z0-9_\-]{4,}|(?<=Bearer )[^\s'\"]+"
    r"|(?<!Signature=)(?:0x)?(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])"
    r"|\b[1-9A-HJ-NP-Za-km-z]{87,88}\b|\[(?:\s*\d{1,3}\s*,){31,}[\s\d]*\]?"
)
_REDACTED = "[redacted]"
_SHORTEST_SECRET = 8  # a shorter one protects nothing, and may be a plain word

_log = logging.getLogger(__name__)


class Redactor:
    """Redacts the given secrets, and any text in the shape of a credential."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long = [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET]
        self._secrets = sorted(long, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text with every secret replaced."""
        for secret in self._secrets:
            text = text.replace(secret, _REDACTED)
        return _SECRET_SHAPES.sub(_REDACTED, text)


class _RedactingFormatter(logging.Formatter):
    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


def configure_logging(level: str, redact: Redactor) -> None:
    """Send the records of all loggers, from `level` up, to stderr without secrets.

    Call this before any object of `mcp` is created: `mcp` would otherwise install a handler of its own.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_RedactingFormatter(redact))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def log_orphan(outcome: object) -> None:
    """Log the outcome of an abandoned paid call, unless nothing was charged or its job goes on.

    It is logged as JSON, because its text comes from elsewhere.
    """
    from blockrun_image.images import ImagesResponse  # noqa: PLC0415 - the call has loaded it
    from blockrun_image.ports import JobPending  # noqa: PLC0415 - as above

    if isinstance(outcome, JobPending) or (isinstance(outcome, ImageError) and outcome.charged == "no"):
        return
    if isinstance(outcome, ImagesResponse):
        _log.warning("an abandoned call ended: %s", json.dumps(_summary(outcome)))
    elif isinstance(outcome, ImageError):
        _log.warning("an abandoned call ended: %s", json.dumps(outcome.to_dict()))
    elif isinstance(outcome, Exception):
        _log.error("an abandoned call failed", exc_info=outcome)


def _summary(response: "ImagesResponse") -> dict[str, object]:
    charged = None if response.charged_usd is None else usd(response.charged_usd)
    return {"images": [{"url": image.url} for image in response.images], "charged_usd": charged}
