#!/usr/bin/env bash
# usage: start-orthanc.sh [http port=18042] [dicom port=14242] [python plugin]
# Orthanc with DICOMweb in $RUN_DIR (started there again it has its instances; user test, password test-pw; called AET PACS);
# waits until ready; prints the pid.
# env: ORTHANC_CONFIG=<extra lines for orthanc.json, each with its comma at the end>, and those of common.sh
set -euo pipefail
. "$(dirname "$0")/common.sh"
port=${1:-18042}; dicom=${2:-14242}; plugin=${3:-}
plugins=/usr/share/orthanc/plugins
command -v Orthanc > /dev/null && [ -e $plugins/libOrthancDicomWeb.so ] && [ -e $plugins/libOrthancPython.so ] ||
  not_installed orthanc "Orthanc or its DICOMweb or Python plugin is missing"
free_port "$port" "$dicom"; new_run_dir orthanc; mkdir -p "$RUN_DIR/db"
libs="\"$plugins/libOrthancDicomWeb.so\""; script=""
[ -z "$plugin" ] || { libs="\"$plugins/libOrthancPython.so\", $libs"; script="\"PythonScript\": \"$plugin\","; }
cat > "$RUN_DIR/orthanc.json" <<J
{ "Name": "PACS", "StorageDirectory": "$RUN_DIR/db", "IndexDirectory": "$RUN_DIR/db", $script
  ${ORTHANC_CONFIG:-}
  "HttpServerEnabled": true, "HttpPort": $port, "HttpThreadsCount": 8,
  "RemoteAccessAllowed": false, "AuthenticationEnabled": true, "RegisteredUsers": { "test": "test-pw" },
  "DicomServerEnabled": true, "DicomAet": "PACS", "DicomPort": $dicom, "DicomCheckCalledAet": false, "DicomAlwaysAllowStore": true,
  "StableAge": 2, "OverwriteInstances": true, "SaveJobs": false, "StorageCompression": false,
  "Plugins": [$libs],
  "DicomWeb": { "Enable": true, "Root": "/dicom-web/", "EnableWado": true, "WadoRoot": "/wado", "Ssl": false, "StudiesMetadata": "Full", "SeriesMetadata": "Full" } }
J
launch Orthanc "$RUN_DIR/orthanc.json"
answers() { listens "$dicom" && curl -fs -u test:test-pw -o /dev/null "http://127.0.0.1:$port/dicom-web/studies?limit=1"; }
ready 60 answers
