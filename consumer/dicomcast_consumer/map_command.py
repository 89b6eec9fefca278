"""`dicomcast-consumer map`: what a run would write to an empty FHIR server, without any network."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import typer
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.exit_codes import ExitCode
from dicomcast_runtime.settings import load_settings
from pydantic import ValidationError

from . import exact_json
from .bundle import transaction_bundle
from .command_settings import MapSettings
from .config import SourceSection
from .errors import RejectedError
from .map_input import read_input
from .map_input_place import InputEvent, InputRejection, Place
from .mapping import InstanceChange, MappingOptions, SourceProfile, in_partition, read_event
from .plan import FhirState, Plan, StudyWork, plan_studies
from .progress import progress

__all__ = ["Mapper", "map_to_bundle"]

_FEED: Final = "map"
_NO_URL: Final = "https://dicomweb.invalid"
"""A name that can never exist (RFC 2606): seen in a Bundle, it says that no DICOMweb root was given."""


def map_to_bundle(paths: list[str], *, source_url: str | None, feed: str | None, config: Path | None) -> None:
    """Writes the Bundle of all input to standard output. Raises typer.Exit with 65 when some of it was rejected."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # it logs values
    settings = load_settings(MapSettings, config=config)
    name = feed or _only(settings.sources)
    mapper = Mapper(_Profiles(settings.sources, source_url=source_url), settings.mapping)
    with progress("mapping", lines=False) as advance:
        for item in read_input(paths, feed=name):
            mapper.add(item)
            advance(1)
    plan = mapper.plan()
    _write(plan)
    if mapper.rejected:
        raise typer.Exit(ExitCode.INPUT)


class _Profiles:
    """The sources by feed; those that are not configured have nothing but the URL given."""

    def __init__(self, sections: Mapping[str, SourceSection], *, source_url: str | None) -> None:
        self._sections = sections
        self._url = source_url
        self._known: dict[str, SourceProfile] = {}

    def of(self, feed: str) -> SourceProfile:
        """Raises ConfigurationError for a URL that is none."""
        if feed not in self._known:
            self._known[feed] = self._made(feed)
        return self._known[feed]

    def ignores(self, feed: str, partition: str | None) -> bool:
        """Whether events of the data partition are passed over."""
        return feed in self._sections and partition in self._sections[feed].ignored_partitions

    def _made(self, feed: str) -> SourceProfile:
        section = self._sections.get(feed)
        try:
            if section is not None:
                return section.profile(feed, dicomweb_url=self._url)
            if self._url is None:
                _report(
                    {
                        "warning": "no_source_url",
                        "reason": f"feed {feed}: neither --source-url nor DICOMCAST_SOURCES__{feed.upper()}"
                        f"__DICOMWEB_URL is set; Endpoint.address is {_NO_URL}",
                    }
                )
            return SourceProfile(feed=feed, dicomweb_url=self._url or _NO_URL)
        except ValidationError as error:
            problems = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
            raise ConfigurationError(f"--source-url or the settings of the feed {feed}: {problems}") from None


class Mapper:
    """Collects what the input says, study by study; keeps the few attributes that are mapped, not the data sets."""

    def __init__(self, profiles: _Profiles, options: MappingOptions) -> None:
        self._profiles = profiles
        self._options = options
        self._studies: dict[str, list[InstanceChange]] = {}
        self._places: dict[int, Place] = {}
        self.rejected = 0

    def add(self, item: InputEvent | InputRejection) -> None:
        """Takes one item of the input; what it rejects is reported at once."""
        if isinstance(item, InputRejection):
            self._reject(item.place, item.code, item.reason)
            return
        try:
            change = self._read(item)
        except RejectedError as error:
            self._reject(item.place, error.code, error.detail)
            return
        if change is None:
            return
        for omission in change.omissions:
            document: dict[str, object] = {
                "sop_instance_uid": omission.sop_instance_uid,
                "attribute": omission.attribute,
                "reason": omission.reason,
            }
            _report({**document, "mapped": True} if omission.is_mapped else document)
        self._studies.setdefault(change.study_instance_uid, []).append(change)
        self._places[id(change)] = item.place

    def plan(self) -> Plan:
        """What to write for everything that was added, as to an empty FHIR server; its rejections are reported."""
        works = [
            StudyWork(study_instance_uid=uid, profile=self._profiles.of(changes[0].mark.feed), changes=tuple(changes))
            for uid, changes in sorted(self._studies.items())
        ]
        nothing = FhirState(studies={}, patients={}, by_reference={}, endpoints={})
        plan = plan_studies(works, nothing, options=self._options)
        for rejection in plan.rejections:
            self._reject(self._places[id(rejection.change)], rejection.error.code, rejection.error.detail)
        for slug, count in sorted(plan.reports.items()):
            _report({"report": slug, "count": count})
        return plan

    def _read(self, item: InputEvent) -> InstanceChange | None:
        event = item.event
        profile = self._profiles.of(event.feed)
        if not in_partition(event, profile):
            if self._profiles.ignores(event.feed, event.partition_name):
                return None
            text = f"the data partition {event.partition_name!r} is not the one configured for the feed"
            raise RejectedError("map", "input.partition_not_configured", text)
        return read_event(event, profile=profile, options=self._options)

    def _reject(self, place: Place, code: str, reason: str) -> None:
        self.rejected += 1
        _report({**place.as_document(), "code": code, "reason": reason})


def _only(sources: Mapping[str, SourceSection]) -> str:
    if len(sources) > 1:
        raise ConfigurationError(
            f"several change feeds are configured: say which the input belongs to, with --feed {min(sources)}"
        )
    return next(iter(sources), _FEED)


def _report(document: Mapping[str, object]) -> None:
    print(orjson.dumps(document).decode(), file=sys.stderr)  # noqa: T201


def _write(plan: Plan) -> None:
    bundle: dict[str, Any] = transaction_bundle(plan.entries)
    if not bundle["entry"]:
        del bundle["entry"]  # R4 knows no empty arrays
    text = exact_json.dumps(bundle, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
