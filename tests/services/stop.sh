#!/usr/bin/env bash
# usage: stop.sh PID...   Ends the servers, waits until they are gone (Orthanc takes 3.5 s) and removes the run
# directories that the start scripts made for them. A RUN_DIR of the caller's stays.
. "$(dirname "$0")/common.sh"
for pid in "$@"; do kill "$pid" 2>/dev/null || true; done
for pid in "$@"; do
  for _ in $(seq 1 300); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
  for run in "$SERVICES_HOME"/run/*/; do [ "$(cat "$run/pid" 2>/dev/null)" != "$pid" ] || rm -rf "$run"; done
done
