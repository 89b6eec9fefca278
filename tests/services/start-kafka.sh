#!/usr/bin/env bash
# usage: start-kafka.sh [port=19092] [controller port=port+1]
# One KRaft node on 127.0.0.1 in $RUN_DIR (started there again it has its records); waits until ready; prints the pid.
# env: JAVA, KAFKA_HEAP=384m, KAFKA_CONFIG=<extra lines for server.properties>, KAFKA_OPTS=<options for Java>, and those of common.sh
set -euo pipefail
. "$(dirname "$0")/common.sh"
port=${1:-19092}; controller=${2:-$((port + 1))}
[ -e "$KAFKA/.installed" ] || not_installed kafka "$KAFKA is missing"
java=$(find_java 17); [ -n "$java" ] || not_installed kafka "there is no Java 17 or later"
free_port "$port" "$controller"; new_run_dir kafka
cat > "$RUN_DIR/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$RUN_DIR/log.d
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
default.replication.factor=1
min.insync.replicas=1
group.initial.rebalance.delay.ms=0
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.io.buffer.size=262144
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
controller.quorum.election.timeout.ms=300
controller.quorum.fetch.timeout.ms=600
${KAFKA_CONFIG:-}
P
common=("-Dlog4j2.configurationFile=$HERE/kafka/log4j2.yaml" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$KAFKA/libs/*")
[ -f "$RUN_DIR/log.d/meta.properties" ] ||
  "$java" -Xmx128m "${common[@]}" kafka.tools.StorageTool format --ignore-formatted -t MkU3OEVBNTcwNTJENDM2Qg -c "$RUN_DIR/server.properties" > "$RUN_DIR/format.log" 2>&1 ||
  { cat "$RUN_DIR/format.log" >&2; exit 1; }
launch "$java" -Xms128m "-Xmx${KAFKA_HEAP:-384m}" ${KAFKA_OPTS:-} "${common[@]}" kafka.Kafka "$RUN_DIR/server.properties"
ready 120 listens "$port"
