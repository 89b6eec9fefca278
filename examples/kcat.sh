#!/usr/bin/env bash
# usage: kcat.sh BOOTSTRAP TOPIC [kcat option...]
# Key, headers and size of every event of the topic, a line each: partition, offset, key, headers, bytes of the value.
# The headers tell most of an event without its Avro: see ce_type, ce_id, ce_time, ce_subject. `-f %s` gives the raw value.
set -euo pipefail
bootstrap=${1:?usage: kcat.sh BOOTSTRAP TOPIC [kcat option...]}
topic=${2:?its name, as dicom.changes.v1}
shift 2
exec kcat -C -b "$bootstrap" -t "$topic" -X isolation.level=read_committed -o beginning -e -q -f '%p\t%o\t%k\t%h\t%S\n' "$@"
