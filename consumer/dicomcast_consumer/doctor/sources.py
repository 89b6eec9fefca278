"""The DICOM servers that metadata is read from when an event has none, and that `verify` compares with."""

import contextlib
from functools import partial

from dicomcast_runtime.clocks import HttpClock, clock_finding
from dicomcast_runtime.doctor import Check, Finding
from dicomcast_runtime.http_client import peer_client
from dicomcast_runtime.http_peer_look import require_answer

from ..config import ConsumerSettings
from ..qido import search_status

__all__ = ["source_checks"]


def source_checks(settings: ConsumerSettings, stack: contextlib.AsyncExitStack) -> tuple[Check, ...]:
    """Two for each feed, in the order of the settings. `stack` closes the clients."""
    return tuple(check for name in settings.sources for check in _checks(settings, name, stack))


def _checks(settings: ConsumerSettings, name: str, stack: contextlib.AsyncExitStack) -> tuple[Check, Check]:
    clock = HttpClock()
    own = f"source.{name}"
    return (
        Check(name=own, look=partial(_answers, settings, name, clock, stack), needs=("settings",)),
        Check(name=f"{own}.clock", look=partial(_clock, clock), needs=(own,)),
    )


async def _answers(
    settings: ConsumerSettings, name: str, clock: HttpClock, stack: contextlib.AsyncExitStack
) -> Finding:
    source = settings.sources[name]
    prefix = f"DICOMCAST_SOURCES__{name.upper()}"
    url = f"{prefix}__{'PRIVATE_URL' if source.private_url else 'DICOMWEB_URL'}"
    peer = source.peer()
    client = await stack.enter_async_context(peer_client(peer))
    clock.watch(client)
    way_out = f"check {url}, the DICOMweb root before /studies"
    await require_answer(search_status(client), url=peer.url, prefix=prefix, way_out=way_out)
    return Finding(f"{peer.url} answers a search for studies (QIDO-RS)")


async def _clock(clock: HttpClock) -> Finding:
    return clock_finding("the DICOM server", clock.ahead, suffers="times without an offset and logs do not fit")
