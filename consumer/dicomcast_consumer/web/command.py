"""The command line of `dicomcast-consumer web`; what it does is imported when it runs."""

from importlib.util import find_spec

from dicomcast_runtime.errors import ConfigurationError

from ..command_settings import ConfigFile

__all__ = ["web"]

_NEEDED = ("starlette", "uvicorn", "jinja2")


def web(config: ConfigFile = None) -> None:
    """Serve a page that shows how the group is, for people: until SIGTERM or Ctrl-C.

    Partitions with lag and throughput over the last hour, members, dead letters with their reason and the command that
    replays them, and any study: its events, what FHIR holds, what differs. It only reads, shows no patient's value, and
    listens on 127.0.0.1 unless `DICOMCAST_WEB__LISTEN` says otherwise. It takes the settings of `run`.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"the page needs {', '.join(missing)}, which the extra `web` brings: pip install 'dicomcast[web]'"
        )
    from .serve import serve

    serve(config)
