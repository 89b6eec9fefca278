#!/usr/bin/env bash
# usage: start-hapi.sh [port=18080] [jdbc url]
# HAPI FHIR JPA R4 at http://127.0.0.1:PORT/fhir, on H2 in memory unless told; waits until ready; prints the pid.
# env: JAVA, HAPI_HEAP=1024m, HAPI_TIER=1 (4 for throughput runs), HAPI_OPTS (-Dfhir.user=, -Dfhir.password=, ...), and those of common.sh
set -euo pipefail
. "$(dirname "$0")/common.sh"
port=${1:-18080}; jdbc=${2:-"jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1"}
[ -e "$HAPI/.installed" ] || not_installed hapi "$HAPI is missing"
java=$(find_java 17); [ -n "$java" ] || not_installed hapi "there is no Java 17 or later"
free_port "$port"; new_run_dir hapi
# shellcheck disable=SC2086  # HAPI_OPTS is a list
launch "$java" -Xms256m "-Xmx${HAPI_HEAP:-1024m}" -XX:+UseSerialGC "-XX:TieredStopAtLevel=${HAPI_TIER:-1}" ${HAPI_OPTS:-} \
  "-Dfhir.port=$port" "-Dfhir.jdbc=$jdbc" -cp "$HAPI/classes:$HAPI/libs/*" services.FhirServer
answers() { listens "$port" && curl -fs -m 60 -o /dev/null "http://127.0.0.1:$port/fhir/metadata?_summary=true"; }
ready 300 answers
