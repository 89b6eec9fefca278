"""Numbers of things in a sentence."""

__all__ = ["counted"]


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 letter`, `2 letters`; `many` where it is not `one` with an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
