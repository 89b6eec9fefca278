"""STOW-RS: the parts of a multipart body in, the store response (PS3.18 10.5.3) out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.message import Message

from dicomcast_sandbox.dicom.instance import Instance, UnreadableInstanceError, read_instance
from dicomcast_sandbox.dicom.store import AlreadyStoredError, Store

# The failure reasons of the Microsoft DICOM server (PS3.4 table B.2-1; 0xB00x are its own).
VALIDATION_FAILED = 0xA900
OTHER_STUDY = 0xA901
ALREADY_STORED = 0xB00E


class NotMultipartError(Exception):
    """The content type is not multipart/related of application/dicom; answered with 415."""


class BrokenMultipartError(Exception):
    """The body does not follow its boundary; answered with 400."""


def dicom_parts(content_type: str, body: bytes) -> list[bytes]:
    """The DICOM files of a multipart/related body (RFC 2387), a single file with application/dicom as such."""
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() == "application/dicom":
        return [body]
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/related" or not isinstance(boundary, str):
        raise NotMultipartError
    pieces = re.split(rb"(?:^|\r\n)--" + re.escape(boundary.encode()) + rb"(?=--|[ \t]*\r\n)", body)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise BrokenMultipartError
    return [_content(piece) for piece in pieces[1:-1]]


def store_parts(
    store: Store, parts: Iterable[bytes], *, study: str | None, base_url: str
) -> tuple[int, dict[str, object]]:
    """Stores what can be stored; returns the status (200 all, 202 some, 409 none, 204 no part) and the response."""
    stored: list[dict[str, object]] = []
    failed: list[dict[str, object]] = []
    for part in parts:
        try:
            instance = read_instance(part)
        except UnreadableInstanceError:
            failed.append(_failure(None, VALIDATION_FAILED))
            continue
        reason = _store_one(store, instance, study)
        if reason is None:
            stored.append(_reference(instance) | {"00081190": _value("UR", _instance_url(base_url, instance))})
        else:
            failed.append(_failure(instance, reason))
    response: dict[str, object] = {}
    if stored and study is not None:
        response["00081190"] = _value("UR", f"{base_url}/studies/{study}")
    if failed:
        response["00081198"] = {"vr": "SQ", "Value": failed}
    if stored:
        response["00081199"] = {"vr": "SQ", "Value": stored}
    if not (stored or failed):
        return 204, response
    return (200 if not failed else 202 if stored else 409), response


def _store_one(store: Store, instance: Instance, study: str | None) -> int | None:
    if study is not None and instance.study_instance_uid != study:
        return OTHER_STUDY
    try:
        store.create(instance)
    except AlreadyStoredError:
        return ALREADY_STORED
    return None


def _content(piece: bytes) -> bytes:
    _head, separator, content = piece.partition(b"\r\n\r\n")
    if not separator:
        raise BrokenMultipartError
    return content


def _instance_url(base_url: str, instance: Instance) -> str:
    return (
        f"{base_url}/studies/{instance.study_instance_uid}/series/{instance.series_instance_uid}"
        f"/instances/{instance.sop_instance_uid}"
    )


def _reference(instance: Instance) -> dict[str, object]:
    reference: dict[str, object] = {"00081155": _value("UI", instance.sop_instance_uid)}
    if instance.sop_class_uid is not None:
        reference["00081150"] = _value("UI", instance.sop_class_uid)
    return reference


def _failure(instance: Instance | None, reason: int) -> dict[str, object]:
    return ({} if instance is None else _reference(instance)) | {"00081197": {"vr": "US", "Value": [reason]}}


def _value(vr: str, text: str) -> dict[str, object]:
    return {"vr": vr, "Value": [text]}
