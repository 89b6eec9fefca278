"""The settings of `dicomcast-consumer web`."""

from dicomcast_runtime.logs import LogSettings
from dicomcast_runtime.peer_settings import PeerSettings
from pydantic import Field

from ..command_settings import LetterSettings
from ..config import SourceSection, WebSection

__all__ = ["WebSettings"]


class WebSettings(LetterSettings):
    """What it takes to look at Kafka, FHIR and the DICOM servers: the settings of `run`, and the section web."""

    fhir: PeerSettings
    sources: dict[str, SourceSection] = Field(min_length=1, description="The change feeds, by name.")
    log: LogSettings = LogSettings()
    web: WebSection = WebSection()
