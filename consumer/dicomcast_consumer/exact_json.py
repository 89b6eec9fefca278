"""JSON whose decimals keep the digits they were written with (R4 json.html#primitive: 1.50 is not 1.5)."""

import json
from decimal import Decimal
from typing import Any, Final

import msgspec
import orjson

__all__ = ["dumps", "loads", "read"]

_MOST_DIGITS: Final = 400


def read(text: bytes) -> Any:
    """What the text says; a number with a point or an exponent is a Decimal. Raises ValueError or RecursionError.

    ValueError also for an exponent beyond a double's: written digit by digit it would fill the memory.
    """
    return _DECODER.decode(text)


def loads(text: str | bytes) -> Any:
    """The same, slower, of what JSON forbids but servers write (NaN, lone surrogates) as well."""
    return json.loads(text, parse_float=_decimal)


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if abs(value.adjusted()) > _MOST_DIGITS:
        raise ValueError("a number without end")
    return value


_DECODER: Final = msgspec.json.Decoder(float_hook=_decimal)


def dumps(value: Any, *, option: int = 0) -> bytes:
    """UTF-8; a Decimal is written digit by digit, without an exponent. `option` is orjson's."""
    return orjson.dumps(value, default=_fragment, option=option)


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} is no JSON")
