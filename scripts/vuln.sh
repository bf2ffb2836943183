#!/bin/sh
# Looks for known vulnerabilities in what our code reaches: scripts/vuln.sh GOVULNCHECK [DATABASE]
#
# DATABASE is Go's own by default, or a copy of it for a machine without network, as
# file:///srv/vulndb. One that is named must be there. Go's own may be out of reach, as in a
# CI without a way out: then nothing is known, and that is said.
set -u

cd "$(dirname "$0")/.."
out=$("$1" -db "${2:-https://vuln.go.dev}" ./... 2>&1)
case $? in
0) exit 0 ;;
3) printf '%s\n' "$out" >&2; exit 1 ;; # found some
esac
case $out in
*"fetching vulnerabilities"* | *"invalid db"* | *"no such file"*)
	printf 'KNOWN VULNERABILITIES WERE NOT LOOKED FOR: %s\n' "$out" >&2
	[ -z "${2:-}" ]
	exit
	;;
esac
printf '%s\n' "$out" >&2
exit 1
