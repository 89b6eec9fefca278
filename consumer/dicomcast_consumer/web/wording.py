"""Numbers and times as a person reads them. Pure."""

from datetime import UTC, datetime

__all__ = ["clock", "compact", "count", "moment", "rate", "span"]


def count(number: int | None) -> str:
    """12 345, or an em dash."""
    return "—" if number is None else f"{number:,}".replace(",", "\u202f")


def compact(number: float) -> str:
    """For an axis: 950, 1.2k, 3.4M."""
    for limit, sign in ((1_000_000, "M"), (1_000, "k")):
        if number >= limit:
            return f"{number / limit:.1f}".removesuffix(".0") + sign
    return f"{number:.2f}".rstrip("0").rstrip(".")


def rate(per_s: float | None) -> str:
    """Records a second."""
    if per_s is None:
        return "—"
    return count(round(per_s)) if per_s >= 10 or per_s == 0 else f"{per_s:.1f}"


def span(seconds: float | None) -> str:
    """A duration in its two largest units: 3 min 20 s."""
    if seconds is None:
        return "—"
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{number} {unit}" for number, unit in parts[:2])


def moment(at: datetime | None) -> str:
    """2026-05-01 06:00:00, in UTC."""
    return "—" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock(at_s: float) -> str:
    """06:00, in UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M")
