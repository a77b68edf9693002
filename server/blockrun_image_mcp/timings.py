"""Every wait, time limit and grace period, in one object that tests replace."""

from dataclasses import dataclass, replace
from typing import Self

from blockrun_image.timings import CallTimings
from blockrun_image_mcp.settings import CALL_SECONDS, Settings


@dataclass(frozen=True)
class Timings(CallTimings):
    """How long each thing may take, in seconds; the fields of `CallTimings` are what the three tools use."""

    # serving MCP
    progress_seconds: float = 4.0
    """Between two progress notifications; hosts give up on a call that is silent for long."""
    output_seconds: float = 2.0
    """For what is still to be written once the client has closed stdin."""
    shutdown_seconds: float = 0.8
    """From a signal to the end of the process."""
    approval_lifetime_seconds: float = 30 * 86_400.0
    """Of a question to the user; the key that seals it ends with the process."""
    cached_tools_seconds: float = 300.0
    """How long a client may take a list of tools for the current one."""
    resume_seconds: float = 3.0
    """From the start to a look at what an earlier process left unfinished, which must not slow the start down."""

    # one request to the gateway
    connect_seconds: float = 10.0
    write_seconds: float = 30.0
    answer_seconds: float = 300.0
    backoff_seconds: float = 0.5
    max_backoff_seconds: float = 8.0
    max_retry_wait_seconds: float = 40.0
    """Of all waits between the attempts at one request."""
    poll_seconds: float = 3.0
    """Between two polls of a job."""
    drain_seconds: float = 10.0
    """For paid requests that are unanswered when the server ends."""
    download_seconds: float = 60.0

    # the gateway's list of models
    first_list_seconds: float = 3.0
    """For the very first list, which a call waits for."""
    list_age_seconds: float = 86_400.0
    list_pause_seconds: float = 3_600.0
    """Between two requests for the list, by any process."""
    list_lock_seconds: float = 60.0
    """After which the lock of a process that was killed is removed."""
    answer_first_seconds: float = 0.2
    """From an answer to a refresh, which must not keep the answer waiting."""
    other_list_seconds: float = 10.0
    """For a first list that another process has asked for."""
    other_list_poll_seconds: float = 0.1

    # the ledger
    busy_seconds: float = 5.0
    """For a lock on the file that another process holds."""
    lease_seconds: float = 15.0
    """How long an attempt belongs to its process, unless that renews it."""
    renewal_seconds: float = 5.0
    sweep_seconds: float = 60.0
    """Between two searches for jobs that no process polls."""
    sign_of_life_seconds: float = 0.5
    """Between two looks at the lease of another process's attempt."""
    collectable_seconds: float = 3_600.0
    """How long the same call collects an attempt whose caller has gone."""
    max_job_seconds: float = 86_400.0
    rate_window_seconds: float = 60.0
    """In which a model takes so many requests."""

    # a payment from a wallet
    max_clock_skew_seconds: float = 300.0
    """Between this machine's clock and the gateway's."""
    already_valid_seconds: float = 600.0
    """How far in the past a payment's life begins, for clocks that are late."""
    min_payment_seconds: float = 30.0
    max_payment_seconds: float = 3_600.0

    @classmethod
    def for_calls(cls, settings: Settings, **others: float) -> Self:
        """Return the timings of a server whose calls are answered within the time that the settings name."""
        seconds = settings.call_timeout_seconds or float(CALL_SECONDS)
        return replace(cls(call_timeout_seconds=seconds), **others)


DEFAULT = Timings()
