#!/usr/bin/env bash
# HAPI's validator for R4, in the foreground: a resource a line in, its issues a line out; ends with its input.
# env: JAVA, and SERVICES_HOME of common.sh
set -euo pipefail
. "$(dirname "$0")/common.sh"
[ -e "$VALIDATOR/.installed" ] || not_installed validator "$VALIDATOR is missing"
java=$(find_java 17); [ -n "$java" ] || not_installed validator "there is no Java 17 or later"
exec "$java" -Xmx768m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$VALIDATOR/classes:$VALIDATOR/libs/*" services.Validator
