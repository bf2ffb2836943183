#!/bin/sh
# Builds, tests and checks the console: web/ is its source, internal/web/dist what the
# program embeds. `go build` needs none of this.
#
#   web.sh install installs what the others need, and the browser test
#   web.sh build   builds the console anew into internal/web/dist
#   web.sh check   format, lint, types, unit tests, and whether internal/web/dist is what
#                  the sources make
#
# It wants npm; everything else, Node 22 too, is pinned in web/package-lock.json and installed
# into web/node_modules (ignored by git). Without npm it says so and exits with 3; with CI=true
# npm is asked of Debian when we are root, and its absence is an error.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/web"

say() { printf 'web: %s\n' "$*" >&2; }

need_npm() {
	command -v npm >/dev/null && return 0
	if [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		say "apt-get install npm"
		apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq npm >&2 && return 0
	fi
	say "MISSING npm (Debian: apt-get install npm)"
	[ "${CI:-}" = true ] && { say "CI=true: nothing may be skipped"; exit 1; }
	say "the console is NOT checked"
	exit 3
}

install() {
	want=$(cat package-lock.json .npmrc | cksum)
	if [ "$(cat node_modules/.s3mirror-stamp 2>/dev/null)" = "$want" ]; then return 0; fi
	say "installing what the console is built with"
	npm ci --loglevel=error >&2
	echo "$want" >node_modules/.s3mirror-stamp
}

# made: what vite makes of the sources, into web/dist.
made() {
	openapi-ts >/dev/null
	vite build --logLevel warn
}

need_npm
install
PATH=$root/web/node_modules/.bin:$PATH
export PATH

case "${1:-}" in
install) ;;
build)
	made
	node build/dist.ts
	;;
check)
	made
	node build/dist.ts --check
	biome check --error-on-warnings .
	tsc -p .
	vitest run --reporter=dot
	;;
*)
	say "usage: web.sh install|build|check"
	exit 2
	;;
esac
