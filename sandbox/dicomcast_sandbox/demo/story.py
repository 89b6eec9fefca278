"""What the demo does and shows: six steps on a line that runs, each seen from outside."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from dicomcast_schemas.topic import cursor_topic, dead_letter_topic

from dicomcast_sandbox.demo.dicom_peer import DicomPeer
from dicomcast_sandbox.demo.errors import DifferenceError, PartError
from dicomcast_sandbox.demo.fhir_peer import FhirPeer, Snapshot
from dicomcast_sandbox.demo.files import DemoFiles, modalities, studies
from dicomcast_sandbox.demo.line import Line
from dicomcast_sandbox.demo.offsets import GroupOffsets
from dicomcast_sandbox.demo.report import Report, Step

__all__ = ["STEPS", "Story"]

STEPS: Final = 6
_POLL_S: Final = 0.25
_SEARCH: Final = "GET ImagingStudy?identifier=…"
_MISSING_PATIENT_ID: Final = "map.patient_id_missing"

T = TypeVar("T")


class Story:
    """Steps two to six. Each returns when its effect was seen; PartError when that takes too long."""

    def __init__(
        self,
        *,
        line: Line,
        dicom: DicomPeer,
        fhir: FhirPeer,
        offsets: GroupOffsets,
        files: DemoFiles,
        report: Report,
        timeout_s: float,
    ) -> None:
        self._line = line
        self._dicom = dicom
        self._fhir = fhir
        self._offsets = offsets
        self._files = files
        self._report = report
        self._timeout_s = timeout_s
        self.uids = studies(files.first)
        self.letters: list[str] = []
        """Lines of `dicomcast-consumer dlq list` as it was last."""

    async def run(self) -> Snapshot:
        """All steps after the start; FHIR at the end."""
        await self._store()
        await self._add()
        await self._delete()
        await self._reject()
        return await self._replay()

    async def wait_for_start(self, step: Step) -> None:
        """Until the producer has claimed its cursor and the group has offsets."""
        cursors, offsets = cursor_topic(self._line.wiring.topic), self._offsets
        step.doing("the producer claims the cursor, the consumer joins its group")
        await self._until(step, lambda: _now(lambda: offsets.count(cursors) > 0 and offsets.begun()), bool)

    async def _store(self) -> None:
        files = self._files.first
        with self._report.step(f"Store {len(self.uids)} studies ({', '.join(modalities(files))})") as step:
            step.doing(f"STOW-RS of {len(files)} files")
            await self._dicom.store(files)
            step.doing("they go through the change feed, Kafka and the consumer to FHIR")
            await self._until_instances(step, len(files))
            step.happened(
                f"{len(files)} files stored are {len(self.uids)} ImagingStudy resources with {len(files)} instances",
                seen=_SEARCH,
            )

    async def _add(self) -> None:
        added = self._files.added
        uid = added[0].study
        with self._report.step(f"Add {len(added)} instances to one study ({added[0].modality})") as step:
            before = await self._snapshot()
            step.doing("STOW-RS, and the study grows")
            await self._dicom.store(added)
            after = await self._until_instances(step, before.instances() + len(added))
            step.happened(_grown(before, after, uid), seen=_SEARCH)

    async def _delete(self) -> None:
        gone = self._files.deleted
        with self._report.step(f"Delete one instance ({gone.modality}, the only one of its series)") as step:
            before = await self._snapshot()
            step.doing("the deletion goes the same way")
            request = await self._dicom.delete(gone)
            after = await self._until_instances(step, before.instances() - 1)
            step.happened(_grown(before, after, gone.study), seen=f"{request}, then {_SEARCH}")

    async def _reject(self) -> None:
        bad = self._files.without_patient_id
        letters = dead_letter_topic(self._line.wiring.topic, self._line.wiring.group)
        with self._report.step(f"Store an instance that cannot be mapped ({bad.modality} without PatientID)") as step:
            step.doing("it becomes a dead letter")
            await self._dicom.store([bad])
            await self._until(step, lambda: _now(lambda: self._offsets.count(letters)), lambda count: count > 0)
            await self._until_drained(step)
            self.letters = await self._list_letters()
            if not any(_MISSING_PATIENT_ID in text for text in self.letters):
                raise DifferenceError(f"`dicomcast-consumer dlq list` shows no {_MISSING_PATIENT_ID}: {self.letters}")
            if bad.study in (await self._fhir.read([bad.study])).studies:
                raise DifferenceError("the instance without PatientID is in FHIR")
            step.happened(
                f"one dead letter ({_MISSING_PATIENT_ID}), nothing in FHIR", seen="dicomcast-consumer dlq list"
            )

    async def _replay(self) -> Snapshot:
        with self._report.step("Replay everything by resetting the group's offsets") as step:
            before = await self._snapshot()
            step.doing("replay plan --to earliest")
            for text in (
                await self._line.command("dicomcast_consumer", "replay", "plan", "--to", "earliest")
            ).splitlines():
                step.note(text)
            step.doing("the consumer leaves, the offsets are reset")
            await self._line.stop_consumer()
            applied = await self._line.command("dicomcast_consumer", "replay", "apply", "--to", "earliest", "--yes")
            events = await _now(self._offsets.lag)
            step.note(applied.splitlines()[-1])
            step.doing(f"the consumer starts again: {events} offsets to read")
            self._line.start_consumer()
            await self._until_drained(step)
            after = await self._snapshot()
            self.letters = await self._list_letters()
            step.happened(self._verdict(before, after), seen="versions and content in FHIR before and after")
        return after

    async def _list_letters(self) -> list[str]:
        return (await self._line.command("dicomcast_consumer", "dlq", "list")).splitlines()

    def _verdict(self, before: Snapshot, after: Snapshot) -> str:
        """Raises DifferenceError when the replay changed anything; a study with a deletion may have been rewritten."""
        changed = [uid for uid, study in before.studies.items() if after.studies[uid].content != study.content]
        if changed:
            raise DifferenceError(f"after the replay the content of {', '.join(changed)} is another one")
        raised = [uid for uid, study in before.studies.items() if after.studies[uid].version != study.version]
        others = [name for name, version in before.others.items() if after.others.get(name) != version]
        if others or set(raised) - {self._files.deleted.study}:
            raise DifferenceError(
                f"the replay wrote what did not change: versions rose of {', '.join(raised + others)}"
            )
        if raised:
            return "every resource ends equal; only the study with the deletion was rewritten (two runs)"
        return f"no version rose: {len(after.studies)} ImagingStudy, {len(after.others)} Patient and Endpoint"

    async def _snapshot(self) -> Snapshot:
        return await self._fhir.read(self.uids)

    async def _until_instances(self, step: Step, wanted: int) -> Snapshot:
        def complete(snapshot: Snapshot) -> bool:
            step.progress(f"{len(snapshot.studies)} studies, {snapshot.instances()} of {wanted} instances in FHIR")
            return len(snapshot.studies) == len(self.uids) and snapshot.instances() == wanted

        return await self._until(step, self._snapshot, complete)

    async def _until_drained(self, step: Step) -> None:
        def drained(lag: int) -> bool:
            step.progress(f"lag {lag}")
            return lag == 0

        await self._until(step, lambda: _now(self._offsets.lag), drained)

    async def _until(self, step: Step, look: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
        deadline_s = time.monotonic() + self._timeout_s
        while True:
            self._line.require_running()
            found = await look()
            if good(found):
                return found
            if time.monotonic() > deadline_s:
                log = self._line.tails("producer", "consumer")
                raise PartError(f"not seen within {self._timeout_s:g} s: {step.waiting_for}", log=log)
            await asyncio.sleep(_POLL_S)


def _grown(before: Snapshot, after: Snapshot, uid: str) -> str:
    was, now = before.studies[uid], after.studies[uid]
    return (
        f"{now.resource}: series {was.series} → {now.series}, instances {was.instances} → {now.instances}, "
        f"version {was.version} → {now.version}"
    )


async def _now(call: Callable[[], T]) -> T:
    return await asyncio.to_thread(call)
