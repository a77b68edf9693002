"""The operator's limits on spending; tool arguments cannot raise them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal

from blockrun_image.attempts import ExpectedCost
from blockrun_image.errors import BudgetExceededError, ConfigurationError
from blockrun_image.text import usd
from blockrun_image_mcp.setting_values import Unreadable
from blockrun_image_mcp.settings import LIMITS, VARIABLES, Settings

_MICRO = 1_000_000


def micro_usd(amount_usd: Decimal) -> int:
    """Return an amount of dollars in millionths, rounded up."""
    # rounded down, a price could pass a limit
    return int((amount_usd * _MICRO).to_integral_value(ROUND_CEILING))


def from_micro_usd(amount_micro_usd: int) -> Decimal:
    """Convert millionths of a dollar to dollars."""
    return Decimal(amount_micro_usd) / _MICRO


def in_usd(amount_micro_usd: int) -> str:
    """Format an amount in millionths of a dollar, such as `$0.042`."""
    return f"${usd(from_micro_usd(amount_micro_usd))}"


def utc_day(seconds: float) -> str:
    """Return the day whose budget counts at a time in seconds since 1970, such as `2026-11-22`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


@dataclass(frozen=True)
class Limits:
    """The operator's limits on spending.

    They apply to one call, to a UTC day, and to a call without the user's approval. Amounts are in millionths of a US
    dollar; `None` means no limit.
    """

    call_micro_usd: int | None
    day_micro_usd: int | None
    confirm_above_micro_usd: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Read the limits from the settings; raises `ConfigurationError`."""
        return cls(
            _amount(VARIABLES["max_cost_usd"], settings.max_cost_usd),
            _amount(VARIABLES["daily_budget_usd"], settings.daily_budget_usd),
            confirm_above_micro_usd(settings),
        )

    def amount_to_reserve(self, cost: ExpectedCost, spent_micro_usd: int) -> int:
        """Return the amount to reserve for a call.

        If its highest cost is unknown, this is the limit for one call, or without one the rest of the day's budget. It
        is at least the lowest cost, and never 0, because a budget of 0 must refuse the call.
        """
        if cost.max_usd is not None:
            return micro_usd(cost.max_usd)
        remaining = 0 if self.day_micro_usd is None else self.day_micro_usd - spent_micro_usd
        return max(remaining if self.call_micro_usd is None else self.call_micro_usd, micro_usd(cost.min_usd), 1)

    def needs_approval(self, cost: ExpectedCost, reserved_micro_usd: int) -> bool:
        """Return whether the user must approve a call with this reservation."""
        # however little is reserved, the price may be any
        has_no_upper_limit = cost.max_usd is None and self.call_micro_usd is None
        return self.is_above_confirmation(reserved_micro_usd) or (
            has_no_upper_limit and self.confirm_above_micro_usd is not None
        )

    def is_above_confirmation(self, price_micro_usd: int) -> bool:
        """Return whether the user must approve a price."""
        return self.confirm_above_micro_usd is not None and price_micro_usd > self.confirm_above_micro_usd

    def check(self, call_micro_usd: int, spent_micro_usd: int) -> None:
        """Raise `BudgetExceededError` if a call of that price exceeds a limit.

        `spent_micro_usd` is today's spending without the call. A limit of 0 allows no call, not even a free one.
        """
        if self.call_micro_usd is not None and (call_micro_usd > self.call_micro_usd or not self.call_micro_usd):
            raise _refusal(call_micro_usd, f"one call may cost at most {in_usd(self.call_micro_usd)}", "max_cost_usd")
        total = spent_micro_usd + call_micro_usd
        if self.day_micro_usd is not None and (total > self.day_micro_usd or not self.day_micro_usd):
            remaining = in_usd(max(0, self.day_micro_usd - spent_micro_usd))
            raise _refusal(
                call_micro_usd,
                f"{remaining} of the {in_usd(self.day_micro_usd)} for this UTC day is left",
                "daily_budget_usd",
            )


def check_names(settings: Settings) -> None:
    """Raise `ConfigurationError` for a misspelt name of a limit, which would have no effect."""
    for name, meant in settings.misspelt.items():
        if meant in (VARIABLES[field] for field in LIMITS):
            raise ConfigurationError(
                f"{name} is not a setting; did you mean {meant}? No picture is paid for until that is clear.",
                hint="Correct the name, or remove the variable.",
            )


def confirm_above_micro_usd(settings: Settings) -> int | None:
    """Return the highest price allowed without the user's approval, `None` for any price.

    Raises `ConfigurationError` if the setting cannot be read.
    """
    return _amount(VARIABLES["confirm_above_usd"], settings.confirm_above_usd)


def _amount(variable: str, limit: Decimal | Unreadable | None) -> int | None:
    if isinstance(limit, Unreadable):
        raise ConfigurationError(
            f"{variable} cannot be read. No picture is paid for until it can.",
            hint="It must be an amount of US dollars such as 10.00, or none.",
        )
    return None if limit is None else micro_usd(limit)


def _refusal(call_micro_usd: int, why: str, setting: str) -> BudgetExceededError:
    return BudgetExceededError(
        f"The call can cost {in_usd(call_micro_usd)}, and {why}.",
        hint=f"Choose something cheaper, or raise {VARIABLES[setting]}; an agent cannot.",
    )
