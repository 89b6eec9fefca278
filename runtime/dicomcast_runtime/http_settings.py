"""The settings of the HTTP port alone, so that a command that does not serve it starts quickly."""

from pydantic import Field

from .settings import Section

__all__ = ["HttpSettings"]


class HttpSettings(Section):
    """The HTTP port for probes and metrics."""

    listen: str = Field(
        default="127.0.0.1:0",
        pattern=r"^(off|(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5})$",
        description="`host:port` of /livez, /readyz, /startupz and /metrics; port 0 takes a free one (it is logged); "
        "`off` for none. In a container `0.0.0.0:9580`.",
    )
