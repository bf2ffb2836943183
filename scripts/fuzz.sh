#!/bin/sh
# Runs every fuzz target of the module in turn: scripts/fuzz.sh [TIME] [PATTERN]
#
# TIME is go test's -fuzztime for each (default 10s), PATTERN selects targets by
# "package FuzzName" (default: all). An input that fails is kept by go test below
# testdata/fuzz/ of its package: mend what it shows and commit it, so that every
# run of the unit tests repeats it. At the end stands a table of executions.
#
# With KEEP=N in the environment the N smallest of the inputs that reached new
# code are kept there too, beside those already kept.
set -eu

time=${1:-10s}
pattern=${2:-.}
keep=${KEEP:-0}
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
table= failed=

targets=$(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' cmd internal test |
	sed -E 's,^(.*)/[^/]*:func (.*),./\1 \2,' | sort | grep -E "$pattern")
# corpus PACKAGE NAME: copies the smallest interesting inputs beside the tests.
corpus() {
	found=$(go env GOCACHE)/fuzz/$(go list "$1")/$2
	[ "$keep" -gt 0 ] && [ -d "$found" ] || return 0
	mkdir -p "$1/testdata/fuzz/$2"
	ls -Sr "$found" | head -n "$keep" | while read -r input; do cp "$found/$input" "$1/testdata/fuzz/$2/"; done
}

while read -r package name; do
	printf '%s %s\n' "$package" "$name" >&2
	if ! nice go test "$package" -run '^$' -fuzz "^$name\$" -fuzztime "$time" >"$log" 2>&1; then
		failed="$failed $package:$name"
		cat "$log" >&2
	fi
	corpus "$package" "$name"
	execs=$(sed -nE 's/.*execs: ([0-9]+).*/\1/p' "$log" | tail -n 1)
	table="$table$(printf '%-28s %-28s %12s' "$package" "$name" "${execs:-0}")
"
done <<LIST
$targets
LIST
printf '%s' "$table"
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
