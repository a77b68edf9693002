"""Every wait, time limit and grace period of the server, but for the file system's: those are in files.py."""

from dataclasses import dataclass, replace
from typing import Self

from blockrun_image.timings import CallTimings
from blockrun_image_mcp.settings import Settings


@dataclass(frozen=True)
class Timings(CallTimings):
    """All of the server's timings, in seconds; a test passes its own."""

    progress_bar_seconds: float = 0.1
    """Between two frames of the progress bar at a terminal."""

    # serving MCP
    progress_seconds: float = 4.0
    """Between two progress notifications; hosts give up on a silent call."""
    output_seconds: float = 2.0
    """To write the remaining answers after the client has closed stdin."""
    started_seconds: float = 0.25
    """After a slow start on Windows, to read the messages that waited for it; later ones did not wait."""
    shutdown_seconds: float = 0.8
    """From a signal to the end of the process."""
    approval_lifetime_seconds: float = 30 * 86_400.0
    """How long the user can answer a request for approval; it ends with the process in any case."""
    cached_tools_seconds: float = 300.0
    """How long a client may cache the list of tools."""
    worker_start_seconds: float = 20.0
    """To start the process for paid calls; a busy machine takes several seconds."""
    worker_idle_seconds: float = 600.0
    """Without a call, until that process is ended."""
    worker_close_seconds: float = 0.3
    """To hand the last messages to that process; it is less than `shutdown_seconds`."""
    left_jobs_seconds: float = 300.0
    """To poll the jobs that are left when the server has ended; after that, the next server polls them."""
    resume_seconds: float = 3.0
    """From the start to the search for unfinished jobs, which must not slow the start down."""

    # one request to the gateway
    connect_seconds: float = 10.0
    write_seconds: float = 30.0
    answer_seconds: float = 300.0
    backoff_seconds: float = 0.5
    max_backoff_seconds: float = 8.0
    max_retry_wait_seconds: float = 40.0
    """For all waits between the attempts at one request, in total."""
    default_retry_after_seconds: float = 60.0
    """After a 429 that names no wait."""
    max_retry_after_seconds: float = 86_400.0
    """The longest wait taken from an answer; a longer one counts as this."""
    poll_seconds: float = 3.0
    """Between two polls of a job."""
    drain_seconds: float = 10.0
    """For the answers to paid requests when the server ends."""
    download_seconds: float = 60.0
    """To fetch a picture, from its URL to its last byte."""
    download_read_seconds: float = 30.0
    """For the next bytes of a picture; some servers draw it before they send the first ones."""

    # the gateway's list of models
    first_list_seconds: float = 3.0
    """To wait for the very first list before a call."""
    list_age_seconds: float = 86_400.0
    list_pause_seconds: float = 3_600.0
    """Between two requests for the list, by any process of the user."""
    list_lock_seconds: float = 60.0
    """Until a killed process's lock is removed."""
    answer_first_seconds: float = 0.2
    """From a call's answer to a refresh of the list, which must not delay the answer."""
    other_list_seconds: float = 10.0
    """To wait for another process's request for the first list."""
    other_list_poll_seconds: float = 0.1

    # the ledger
    busy_seconds: float = 5.0
    """To wait for another process's lock on the ledger."""
    sweep_seconds: float = 60.0
    """Between two searches for abandoned jobs."""
    lost_job_seconds: float = 3_600.0
    """Between two polls by one process of a job that the gateway no longer reports."""
    spill_seconds: float = 1.0
    """For the ledger to accept a record, before the record gets a file of its own."""
    outbox_retry_seconds: float = 0.25
    """Between two tries to write a record, doubled after each."""
    max_outbox_retry_seconds: float = 5.0
    missed_polls: int = 3
    """How many polls of a job may be missed before another process polls it."""
    collectable_seconds: float = 3_600.0
    """How long the same call gets the result of an abandoned call without pictures, from its end."""
    pictures_seconds: float = 86_400.0
    """How long the same call collects undelivered pictures, from the end of the work."""
    repeatable_seconds: float = 120.0
    """How long the same call returns delivered pictures again that a caller may have missed."""
    recent_charge_seconds: float = 86_400.0
    """How far back a charge counts in the price that a call may have."""
    expired_payment_seconds: float = 60.0
    """How long a payment counts as usable after it has expired, because the gateway's clock may be slow."""
    rate_window_seconds: float = 60.0
    """The window of a model's rate limit."""

    # a payment from a wallet
    max_clock_skew_seconds: float = 300.0
    """Between this machine's clock and the gateway's: from this difference on, no payment is signed."""
    already_valid_seconds: float = 600.0
    """How far in the past a payment becomes valid, for a slow clock on the other side."""
    min_payment_seconds: float = 30.0
    max_payment_seconds: float = 3_600.0

    @classmethod
    def for_calls(cls, settings: Settings, **others: float) -> Self:
        """Return the timings with the settings' call timeout and the others changed."""
        return replace(cls(call_timeout_seconds=settings.call_timeout_seconds), **others)


DEFAULT = Timings()
