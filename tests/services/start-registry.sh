#!/usr/bin/env bash
# usage: start-registry.sh [port=18081] [management port=port+10000]
# Apicurio Registry, in memory; the Confluent API is at /apis/ccompat/v7; waits until ready; prints the pid.
# env: JAVA21 = a Java of version 21 or later (found or downloaded by install.sh otherwise), and those of common.sh
set -euo pipefail
. "$(dirname "$0")/common.sh"
port=${1:-18081}; management=${2:-$((port + 10000))}
[ -e "$REGISTRY/.installed" ] || not_installed registry "$REGISTRY is missing"
java=$(find_java 21); [ -n "$java" ] || not_installed registry "there is no Java 21 or later"
free_port "$port" "$management"; new_run_dir registry
launch "$java" -Xms128m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=$port" \
  -Dquarkus.management.host=127.0.0.1 "-Dquarkus.management.port=$management" -Dapicurio.storage.kind=sql -Dapicurio.storage.sql.kind=h2 \
  "-Dapicurio.datasource.url=jdbc:h2:mem:registry_$port" -Dquarkus.log.level=WARN -jar "$REGISTRY/quarkus-run.jar"
answers() { listens "$port" && curl -fs -m 20 -o /dev/null "http://127.0.0.1:$port/apis/ccompat/v7/subjects"; }
ready 180 answers
