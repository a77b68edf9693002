"""Classifies a gateway's refusals: the error, the words for it, and the next step."""

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import httpx2

from blockrun_image.errors import (
    AuthenticationError,
    Charged,
    ContentPolicyError,
    GatewayError,
    ModelNotFoundError,
    OutcomeUnknownError,
    PaymentRequiredError,
    RateLimitError,
)
from blockrun_image.text import clean
from blockrun_image_mcp.gateway.error_words import ErrorWords
from blockrun_image_mcp.gateway.retry import Rejection


@dataclass(frozen=True)
class _Signs:
    """The codes and words of one kind of refusal."""

    codes: re.Pattern[str]
    words: re.Pattern[str]


def _signs(codes: Sequence[str], words: Sequence[str]) -> _Signs:
    return _Signs(re.compile("|".join(codes), re.IGNORECASE), re.compile("|".join(words), re.IGNORECASE))


_RATE_WORDS = re.compile(r"(retry|try again) (in|after)|per (second|minute|hour|day)|\b[rt]p[md]\b", re.IGNORECASE)
_NEVER = re.compile(r"\blimit: ?0\b", re.IGNORECASE)  # waiting does not lift a limit of 0
_QUOTATION = re.compile(r"(?<!\w)(?:'[^']*'|\"[^\"]*\"|`[^`]*`)(?!\w)")
_WALL = re.compile(  # the numbers are Cloudflare's own error codes
    r"\b10(05|06|09|10|12|15|20)\b|captcha|challenge|attention required|just a moment|cloudflare", re.IGNORECASE
)

_POLICY = _signs(
    codes=[
        r"content[ _.-]?(policy|filter|moderation|safety|violation|blocked)|(usage|prompt)_policy|responsible_?ai",
        r"moderation(?!_param)|safety(?!_(tol|set|param))|nsfw|unsafe(?!_redirect)|inappropriate|prohibited_content",
        r"(?<!in)(?<!case_)(?<!case-)sensitive|data_?inspection|infringement|risk_?detection",
        r"(prompt|image|content)_(blocked|flagged)",
    ],
    words=[
        r"content.?(policy|filter|moderation|management)|safety (system|filter)|usage polic|nsfw|inappropriate",
        r"prohibited content|(?<!case.)sensitive (content|word|information)|content.{0,20}(blocked|violat|not allowed)",
        r"violat\w+.{0,40}(polic|guideline)|polic\w+.{0,20}violat|\bmoderation\b",
        r"(prompt|input) (was |is |has been )?(blocked|flagged)|image (was |is |has been )?flagged",
        r"sensitive prompt|\u654f\u611f|\u4e0d\u5b89\u5168",  # sensitive, unsafe
    ],
)
_QUOTA = _signs(
    codes=[
        r"insufficient_?(user_?)?(quota|balance|fund|credit)|exceeded_?quota|quota_?(exceeded|exhausted|not_?enough)",
        r"billing|credit|payment_?instrument|free_?tier|set_?limit_?exceeded|(?<!load)(?<!load_)balance(?!r)|payment_?required|arrear|overdue|no_?funds|(hard|spend)_?limit|budget_?exceeded",
    ],
    words=[
        r"billing|insufficient.{0,20}(quota|balance|fund|credit)|(account|your) balance|balance is|top.?up|recharge",
        r"(no|out of|enough|add|buy|remaining|more|any).{0,15}\bcredits?\b|overdue|arrears|spending (limit|cap)",
        r"budget.{0,20}exceeded|key limit exceeded|call volume quota|billed users|free allocation|enough balance",
        r"\bcredits? .{0,10}(exhausted|insufficient|low|required|depleted)|exceeded.{0,20}quota|out of (funds|quota)",
        r"(quota|funds|balance).{0,30}(exhausted|exceeded|used up|not enough|too low|depleted)",
        r"\u4f59\u989d|\u6b20\u8d39|\u989d\u5ea6",  # balance, arrears, quota
    ],
)
_KEY = _signs(
    codes=[
        r"api.?key|authenti|unauthori[sz]ed|invalid_?token|token_?(invalid|expired)",
        r"no_db_connection",  # LiteLLM without a database looks there for each key but its master key
    ],
    words=[
        r"api.?key|unauthori[sz]ed|authenticat|security token|login fail",
        r"(invalid|expired|missing|wrong) (access )?(token|credential)",
        r"\u4ee4\u724c",  # token
    ],
)
_ACCESS = _signs(
    codes=[r"permission|access_?denied|forbidden|scope|verif|organi[sz]ation"],
    words=[
        r"\u65e0\u6743|not allowed for this api key",  # no right
        r"must be verified|(verify|verification).{0,30}(organi[sz]ation|identity|account|email)|access denied",
        r"(missing|insufficient|lack).{0,20}(scope|permission)|(not|n't) have (access|permission)",
    ],
)
_REGION = _signs(
    codes=[r"country|region|territor|(?<!al)location"],
    words=[
        r"(country|region|territory|location).{0,40}(not|un)[ -]?(supported|available|allowed)",
        r"not (available|supported) in your",
    ],
)
_BAD = r"(unknown|unsupported|invalid|retired|deprecated|no such)"
_MODEL_FAULTS = (
    rf"\b{_BAD} (image )?model\b(?! (param|opt))",
    r"is not a valid model|model identifier is invalid|models/[\w.:-]{1,80} is not found",
    r"\u6a21\u578b\u4e0d\u5b58\u5728",  # the model does not exist
    (
        r"model\b['\"`:\s]*[\w./:-]*['\"`]?,?\s*\b(is |was |has been |does )?"
        r"(not (found|exist|available)|no longer|unknown|unavailable|retired|deprecated)"
    ),
)
_MODEL = _Signs(
    re.compile(
        rf"{_BAD}_(image_)?model(?!_(param|opt))|model_?(not|no|un|retired|dep)|deployment_?not_?found|endpointormodel",
        re.IGNORECASE,
    ),
    re.compile(  # a quotation before it may be one of the prompt, except for LiteLLM's quotation of itself
        rf"([^'\"]{{0,10}}\{{'error': ')?[^'\"]{{0,80}}?({'|'.join(_MODEL_FAULTS)})", re.IGNORECASE
    ),
)
_RATE = _signs(
    codes=[r"rate_?limit|too_?many|throttl|resource_?exhausted"], words=[r"rate limit|too many requests|slow down"]
)


@dataclass(frozen=True)
class Refusal:
    """The meaning of a refusal: the error, the event in words, and the next step."""

    error: type[GatewayError]
    what: str
    hint: str


_CONTENT = Refusal(
    ContentPolicyError,
    "The prompt was refused for its content",
    "Rephrase the prompt; sending it again will not help.",
)
_REDIRECT = Refusal(
    GatewayError,
    "The gateway redirects, which is never followed",
    "Set BLOCKRUN_IMAGE_GATEWAY to the base URL that it redirects to, if you trust it.",
)
_FAILURE = Refusal(OutcomeUnknownError, "The gateway did not say what happened to the request", "")
_REFUSAL = Refusal(GatewayError, "The gateway refused the request", "")

REJECTIONS: Mapping[Rejection, Refusal] = {
    Rejection.REFUSED: Refusal(
        PaymentRequiredError,
        "The gateway did not accept the payment",
        "Check that the wallet holds enough USDC on that network.",
    ),
    Rejection.TAKEN: Refusal(
        OutcomeUnknownError,
        "The payment was already used by a request whose answer was lost, and cannot pay again",
        "Report the payment's transaction to the gateway's operator; repeating the call is a new payment.",
    ),
    Rejection.UNCLEAR: Refusal(
        OutcomeUnknownError,
        "The gateway did not say whether the payment moved",
        "Check the wallet before the next call: repeating the call is a new payment.",
    ),
}

_BY_STATUS: Mapping[int, Refusal] = {
    303: Refusal(
        OutcomeUnknownError,
        "The gateway answered with another address, which usually means that it processed the request",
        "",
    ),
    400: Refusal(
        GatewayError,
        "The gateway refused the request as invalid",
        "Correct the prompt or the parameters.",
    ),
    401: Refusal(
        AuthenticationError,
        "The gateway does not accept the credential",
        "Check BLOCKRUN_IMAGE_CREDENTIAL or BLOCKRUN_API_KEY, and that it belongs to BLOCKRUN_IMAGE_GATEWAY.",
    ),
    402: Refusal(
        PaymentRequiredError,
        "The gateway requires a payment",
        "Add credit to the account. If the credential does not begin with brk_, blockrun.ai ignores it: set"
        " BLOCKRUN_API_KEY.",
    ),
    403: Refusal(
        GatewayError,
        "The gateway does not allow the request",
        "Check what the credential may do, and ask the gateway's operator.",
    ),
    404: Refusal(
        GatewayError,
        "The gateway does not know the model or the address",
        "Choose another model, or check that BLOCKRUN_IMAGE_GATEWAY is a base URL such as https://api.blockrun.ai/v1.",
    ),
    429: Refusal(RateLimitError, "Too many requests", ""),
}
_NO_ACCESS = Refusal(
    AuthenticationError,
    "The gateway does not give the credential access",
    "Check what the account is allowed: its verification, its key's scope, and its access to the model.",
)
_NO_CREDIT = Refusal(
    PaymentRequiredError,
    "The account has no credit or quota left",
    "Add credit to the account, or raise its limit; sending it again will not help.",
)
_NO_SERVICE = Refusal(
    GatewayError,
    "The gateway does not serve this region",
    "Use a gateway that serves it; sending it again will not help.",
)
_BOT_WALL = Refusal(
    GatewayError,
    "A bot wall in front of the gateway refused the request",
    "Ask the gateway's operator to let this server's address and User-Agent through.",
)
_NO_MODEL = Refusal(
    ModelNotFoundError,
    "The gateway does not make images with this model, or no longer does",
    "Use another model.",
)

_CERTIFICATE = (
    "If a proxy or a company's own authority signed it, name that authority's certificate in SSL_CERT_FILE, in the"
    " server's environment."
)
_PROXY = (
    "Check HTTPS_PROXY, ALL_PROXY and NO_PROXY in the server's environment, and on Windows and macOS the proxy in the"
    " system's own settings."
)
_PROXY_LOGIN = "The proxy wants a login: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, in the server's environment."

_FREE_IF_NAMED = (410, 428, 451, 503)
"""The statuses that cost nothing if a code names the model or the quota as the reason."""


def classify(status: int, charged: Charged, error_words: ErrorWords, *, is_web_page: bool = False) -> Refusal:
    """Classify a refusal by its status, codes and words.

    Some refusals have the status of a success.
    """
    found = _find_refusal(error_words, _kinds_of(status))
    if status == 403 and (is_web_page or (found in (None, _NO_ACCESS) and _WALL.search(error_words.words))):
        return _BOT_WALL
    if status == 429 and is_out_of_quota(error_words):
        return _NO_CREDIT
    if found is not None:
        return found
    told = (error_words.status or 0) if status < 300 else status
    return _BY_STATUS.get(told) or _FALLBACKS.get((charged == "unknown", 300 <= status < 400), _FAILURE)


def is_lasting(error: httpx2.TransportError) -> bool:
    """Return whether a later try cannot help: the certificate is not trusted."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def describe_failure(error: httpx2.TransportError, setting: str) -> tuple[str, str]:
    """Return the reason for a failed connection, to follow the gateway's name, and the next step.

    `setting` is the one that names the gateway; it is empty if none does.
    """
    words = str(error)
    if is_lasting(error):
        return "has a certificate that is not trusted", _CERTIFICATE
    if isinstance(error, httpx2.ProxyError):
        why = f"could not be reached through the proxy ({clean(words, 80)})"
        return why, _PROXY_LOGIN if words.startswith("407") else _PROXY
    network = f"Check the network{f' and {setting}' if setting else ''}, or try again later."
    causes = [*_causes(error)]
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return (
            "refused the connection",
            f"Start the server that should listen there, or check {setting}." if setting else network,
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "cannot be found: its host name could not be looked up", network
    if isinstance(error, httpx2.ConnectTimeout):
        return "did not answer in time", network
    return f"could not be reached ({type(error).__name__})", network


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes; each tried address may have one."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
                yield from _causes(each)
        error = error.__cause__ or error.__context__


def is_out_of_quota(error_words: ErrorWords) -> bool:
    """Return whether a 429 is about money, not about the rate: waiting does not help."""
    if any(map(_QUOTA.codes.search, error_words.codes)) or _NEVER.search(error_words.words):
        return True
    # a rate limit is often called a quota, too, so words alone count only if nothing else is about the rate
    is_about_rate = any(map(_RATE.codes.search, error_words.codes)) or _RATE_WORDS.search(error_words.words)
    return _QUOTA.words.search(error_words.words) is not None and not is_about_rate


def is_free(status: int, error_words: ErrorWords) -> bool:
    """Return whether a refusal was free, by its status and the codes of its reason."""
    return status in _FREE_IF_NAMED and any(
        signs.codes.search(code) for signs in (_MODEL, _QUOTA) for code in error_words.codes
    )


def is_before_drawing(error_words: ErrorWords) -> bool:
    """Return whether a code proves a refusal before anything was drawn.

    Words are not proof.
    """
    by_code = _find_refusal(replace(error_words, words=""), _KINDS)
    return by_code in (_NO_CREDIT, _NO_MODEL, _NO_SERVICE, _NO_ACCESS, _BY_STATUS[401], _BY_STATUS[429]) or (
        by_code is None and error_words.status in (401, 402, 404, 429)
    )


def is_policy(error_words: ErrorWords) -> bool:
    """Return whether a refusal is about the prompt's content."""
    return _find_refusal(error_words, _KINDS) is _CONTENT


_KINDS: Mapping[_Signs, Refusal] = {
    _POLICY: _CONTENT,
    _QUOTA: _NO_CREDIT,
    _MODEL: _NO_MODEL,
    _REGION: _NO_SERVICE,
    _ACCESS: _NO_ACCESS,
    _KEY: _BY_STATUS[401],
    _RATE: _BY_STATUS[429],
}
_FALLBACKS: Mapping[tuple[bool, bool], Refusal] = {(False, True): _REDIRECT, (False, False): _REFUSAL}


def _kinds_of(status: int) -> Mapping[_Signs, Refusal]:
    """Return the possible kinds of refusal for a status.

    Some statuses say little, and proxies replace others.
    """
    if status < 300 or status in (400, 403, 409, 410, 422, 428, 451):
        return _KINDS
    if status == 503:
        return {_QUOTA: _NO_CREDIT, _MODEL: _NO_MODEL}
    return {_MODEL: _NO_MODEL} if status == 404 else {}


def _find_refusal(error_words: ErrorWords, kinds: Mapping[_Signs, Refusal]) -> Refusal | None:
    """Return the kind of a refusal by its codes, or else by its words.

    Quotations do not count: they may be of the prompt. A code about access counts after the words, because proxies give
    one to every 403.
    """
    by_code = [signs for code in error_words.codes for signs in kinds if signs.codes.search(code)]
    own_words = _QUOTATION.sub("", error_words.words)
    by_words = [signs for signs in kinds if signs is not _MODEL and signs.words.search(own_words)]
    if _MODEL in kinds and _MODEL.words.match(error_words.words):
        by_words.insert(0, _MODEL)
    exact = [signs for signs in by_code if signs is not _ACCESS]
    return next((kinds[signs] for signs in (*exact, *by_words, *by_code)), None)
