#!/usr/bin/env bash
# A real Apache Cassandra on loopback, for tests: no container, no service.
#
#   cassandra.sh install        fetches the pinned jars with Maven into .tools/cassandra, once
#   cassandra.sh run DIR I N    runs node I of N in the foreground; data, log and configuration in DIR
#   cassandra.sh nodetool DIR ARGS...  speaks to the node of that folder, which was run with the same CASS_JMX_PORT
#
# Node I listens on 127.0.0.I. CASS_PORT (9042) and CASS_STORAGE_PORT (7000) are the ports of all
# nodes. The user is cassandra, the password cassandra. With CASS_KEYSTORE (a PEM file with the key
# and the certificate of this node) and CASS_TRUSTSTORE (the authority's) clients must speak TLS and
# show a certificate. CASS_HEAP (256m) is the heap. CASS_COMPILERS=all lets the JVM optimise, where
# time is measured: it starts more slowly. N is part of a cluster's shape: use another DIR for another N.
#
# It needs a JDK 17 and Maven. Where they are missing `install` says so and exits 3; with CI=true
# they are installed when we are root, and whatever is still missing is an error.
#
# An acknowledged write survives SIGKILL of the node: commitlog_sync is batch.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$here/../../.tools
lib=$tools/cassandra
heap=${CASS_HEAP:-256m}
port=${CASS_PORT:-9042}
storage_port=${CASS_STORAGE_PORT:-7000}
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1

say() { echo "cassandra: $*" >&2; }

# A Java 17: Cassandra 5.0 knows no later one.
java17() {
  local home
  for home in "${JAVA_HOME:-}" /usr/lib/jvm/*17*; do
    if [ -x "$home/bin/java" ] && "$home/bin/java" -version 2>&1 | grep -q 'version "17\.'; then
      echo "$home"
      return
    fi
  done
  return 1
}

lacking() { java17 >/dev/null && command -v mvn >/dev/null && return 1 || return 0; }

install() {
  mkdir -p "$tools"
  if command -v flock >/dev/null; then
    exec 9>"$tools/cassandra.lock"
    flock 9 # two makes at once must not install over each other
  fi
  if [ -e "$lib/.stamp" ] && cmp -s "$lib/.stamp" "$here/jars.sha256" && java17 >/dev/null; then return; fi
  if lacking && [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "apt-get install openjdk-17-jre-headless maven"
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-17-jre-headless maven >&2
  fi
  if lacking; then
    say "MISSING a JDK 17 or Maven (Debian: apt-get install openjdk-17-jre-headless maven): the tests on a real Cassandra cannot run"
    exit 3
  fi
  say "fetching the jars"
  rm -rf "$lib" "$lib.new"
  JAVA_HOME=$(java17) mvn -B -q -ntp -Dstyle.color=never -f "$here/pom.xml" "$plugin:copy-dependencies" \
    -DincludeScope=runtime -DoutputDirectory="$lib.new" >&2
  (cd "$lib.new" && sha256sum --quiet --strict -c "$here/jars.sha256") >&2
  if [ "$(ls "$lib.new" | wc -l)" != "$(wc -l <"$here/jars.sha256")" ]; then
    say "there are jars that nobody has pinned"
    exit 1
  fi
  cp "$here/jars.sha256" "$lib.new/.stamp"
  mv "$lib.new" "$lib"
}

render() { # DIR I N
  local dir=$1 i=$2 n=$3 seeds=127.0.0.1 k token
  for ((k = 2; k <= n; k++)); do seeds+=,127.0.0.$k; done
  # 2^64 / N apart, from the smallest token up
  token=$(( -9223372036854775807 + (i - 1) * (9223372036854775807 / n * 2) ))
  mkdir -p "$dir/conf" "$dir/tmp"
  sed -e "s|@DIR@|$dir|g; s|@ADDRESS@|127.0.0.$i|g; s|@SEEDS@|$seeds|; s|@TOKEN@|$token|" \
      -e "s|@PORT@|$port|; s|@STORAGE_PORT@|$storage_port|" \
      "$here/cassandra.yaml.tmpl" >"$dir/conf/cassandra.yaml"
  if [ -n "${CASS_KEYSTORE:-}" ]; then
    cat >>"$dir/conf/cassandra.yaml" <<EOF

client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: true
  ssl_context_factory: {class_name: org.apache.cassandra.security.PEMBasedSslContextFactory}
  keystore: $CASS_KEYSTORE
  truststore: $CASS_TRUSTSTORE
EOF
  fi
  cp "$here/logback.xml" "$dir/conf/"
}

run() { # DIR I N
  local dir=$1
  render "$@"
  # shellcheck disable=SC2046
  exec "$(java17)/bin/java" $(grep -v "^#${CASS_COMPILERS:+\|TieredStopAtLevel}" "$here/jvm.options") "-Xms$heap" "-Xmx$heap" -XX:MaxDirectMemorySize=128m \
    "-javaagent:$(echo "$lib"/jamm-*.jar)" "-Djava.io.tmpdir=$dir/tmp" \
    "-Dcassandra.storagedir=$dir" "-Dcassandra.logdir=$dir" "-Dcassandra.config=file://$dir/conf/cassandra.yaml" \
    "-Dlogback.configurationFile=$dir/conf/logback.xml" ${CASS_JMX_PORT:+"-Dcassandra.jmx.local.port=$CASS_JMX_PORT"} \
    -cp "$lib/*" org.apache.cassandra.service.CassandraDaemon
}

nodetool() { # DIR ARGS...
  local dir=$1
  shift
  # shellcheck disable=SC2046
  exec "$(java17)/bin/java" $(grep '^--add\|Tiered\|SerialGC' "$here/jvm.options") -Xmx96m "-Duser.home=$dir/tmp" "-Djava.io.tmpdir=$dir/tmp" \
    "-Dcassandra.storagedir=$dir" "-Dcassandra.config=file://$dir/conf/cassandra.yaml" "-Dlogback.configurationFile=$dir/conf/logback.xml" \
    -cp "$lib/*" org.apache.cassandra.tools.NodeTool -h 127.0.0.1 -p "$CASS_JMX_PORT" "$@"
}

case ${1:-} in
  install) install ;;
  run) [ $# = 4 ] || { say "run DIR I N"; exit 2; }; run "$2" "$3" "$4" ;;
  nodetool) shift; nodetool "$@" ;;
  *) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
