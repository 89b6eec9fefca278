"""How long to wait before the same request again. Pure."""

import email.utils
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["full_jitter", "retry_after_s"]


def full_jitter(attempt: int, *, least_s: float, most_s: float, uniform: Callable[[float, float], float]) -> float:
    """Seconds before retry number `attempt` (from 0): uniform between `least_s` and an exponential ceiling."""
    ceiling_s = min(most_s, least_s * 2 ** min(attempt + 1, 16))
    return uniform(least_s, max(least_s, ceiling_s))


def retry_after_s(header: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110 10.2.3: seconds, or a date); None where it says nothing."""
    if header is None:
        return None
    text = header.strip()
    if text.isdigit():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())
