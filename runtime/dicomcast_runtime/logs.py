"""Logs: one line per change of state, key=value or JSON, on standard error. Never a data set or a response body.

An event's name is `area.event`; docs/log-events.md has them all.
"""

import logging
import sys
import traceback
from pathlib import PurePath
from typing import Literal

from pydantic import Field

from .settings import Section

__all__ = ["LogSettings", "configure_logs", "raised_at"]


class LogSettings(Section):
    """What is logged and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is written."
    )
    format: Literal["logfmt", "json"] = Field(
        default="logfmt", description="`logfmt` for people and most shippers, or `json`."
    )


def configure_logs(settings: LogSettings) -> None:
    """Sends structlog's events and the libraries' warnings to standard error. Call once, first."""
    import structlog  # a fifth of a second that a command which logs nothing does without

    level = logging.getLevelNamesMapping()[settings.level.upper()]
    renderer: structlog.typing.Processor
    if settings.format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # httpx logs each request's URL at INFO, and a search URL holds a patient's identifier.
    logging.basicConfig(
        stream=sys.stderr, level=max(level, logging.WARNING), format="%(levelname)s %(name)s %(message)s"
    )


def raised_at(error: BaseException) -> str:
    """`file:line` of an error that nobody expected: with its type all that may be told, its text may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
