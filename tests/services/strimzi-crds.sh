#!/usr/bin/env bash
# Prints the folder with Strimzi's custom resource definitions: KafkaTopic.yaml, KafkaUser.yaml.
# env: SERVICES_HOME of common.sh
set -euo pipefail
. "$(dirname "$0")/common.sh"
[ -e "$STRIMZI/.installed" ] || not_installed strimzi "$STRIMZI is missing"
echo "$STRIMZI"
