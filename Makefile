# s3mirror: what is built, tested and checked, the same here and in CI.
#
#   make build    bin/s3mirror
#   make quick    for every save: builds and tests without network or servers
#   make test     everything: units, simulator, real S3 servers and real clients
#   make check    format, vet, linters, known vulnerabilities (VULNDB=file:///copy without network),
#                 go.mod, import table, race detector
#   make sim      the simulator alone: make sim SCHEDULES=1000000 SEED=1
#   make explore  every scenario of the small world, in every order: hours
#   make mutation each rule of the protocol is switched off, and something must break
#   make chaos    kills, stops, cuts under load, judged by Porcupine: make chaos DURATION=60s SEED=1
#   make chaos-nightly  the same with the default times, which takes two DURATIONs and 70 minutes,
#                 and without a settle time, which must find a violation; SEED=0 draws one
#   make conformance versitygw's own suite and minio-go's, whole, and random requests, directly
#                 and through s3mirror, also over two makes of server, for which it builds MinIO:
#                 for the night. make conformance SEEDS=2000 SEED=1000; conformance-update also
#                 writes its parts of docs/compatibility.md
#   make powerloss more subsets of unsynced data than the units try: make powerloss SUBSETS=50
#   make chaos-cluster  three gateways behind HAProxy, a Cassandra of three nodes, backends of two
#                 makes: kills, stops, cuts, restarts under load: make chaos-cluster DURATION=120s;
#                 it builds MinIO. chaos-cluster-brief takes a third of the time, and make test
#                 plays it in the calm of chaos
#   make ring     check-config and the move of a log, on a Cassandra of three nodes
#   make bench    measures, and writes docs/performance.md; make bench ROWS=saturated,cost.put
#                 ROUNDS=1 ALLOW_FOREIGN=1 only prints some rows, on a machine that others use too.
#                 make bench ROWS=cassandra measures with a log in Cassandra, which the whole does
#                 not, and writes docs/performance-cassandra.md
#   make clients  every client over http and https, over one backend and over three of two makes,
#                 and writes docs/compatibility.md; builds MinIO and more from source: for the night
#   make large    objects of more than 5 GB by aws s3 cp, mc and minio-go, which takes minutes and
#                 40 GB of disk, since a backend may copy the parts to put them together: for the night
#   make qualify  every probe of `s3mirror qualify` over versitygw and MinIO: minutes
#   make cassandra the log on a real Cassandra of one node, which is fetched and started
#   make cassandra-nightly  what it keeps on its disk after many writes: WRITES=1000000 takes hours
#   make fuzz     every fuzz target in turn: make fuzz FUZZTIME=60s
#   make wire-update  captures anew what real clients send: test/wire
#   make web      the console: builds web/ into internal/web/dist, which is committed
#   make console-update  takes the pictures in docs/console anew, from a real run; look at them
#   make console-nightly  the same test with a bucket of 10^6 objects, which takes minutes
#   make generate server and client of the admin API, from internal/admin/api/openapi.yaml
#   make clean    removes what was built; .tools/ too with `make clean-tools`

SHELL     := /bin/sh
GO        ?= go
SCHEDULES ?= 3000
SEED      ?= 1
SUBSETS   ?= 50
DURATION  ?= 60s
FUZZTIME  ?= 10s
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null)

# One way of compiling for what is shipped, tested and checked, so that a fresh machine compiles
# each package once and not once more for its tests. Only the race detector wants cgo.
export CGO_ENABLED := 0
export GOFLAGS     := -trimpath $(filter-out -trimpath,$(GOFLAGS))

BIN  := $(CURDIR)/bin/s3mirror
LINT := $(CURDIR)/.tools/bin

.PHONY: bench wire-update fuzz build build-failpoints quick test units sim explore mutation mutation-update powerloss chaos chaos-brief chaos-nightly chaos-settle-0 chaos-cluster chaos-cluster-brief ring cassandra cassandra-nightly cassandra-install e2e conformance conformance-update clients large qualify check web web-check console-update console-nightly generate race clean clean-tools

build:
	$(GO) build -ldflags "-s -w -X main.linkedVersion=$(VERSION)" -o $(BIN) ./cmd/s3mirror

# With failpoints, for test/chaos alone; it is never shipped.
build-failpoints:
	$(GO) build -tags failpoints -o $(BIN)-failpoints ./cmd/s3mirror

quick:
	$(GO) build ./...
	$(GO) test -short ./...

test: DURATION = 30s
test: units sim mutation cassandra chaos-brief e2e

units:
	$(GO) test ./...
	$(GO) test -tags failpoints -run 'Failpoint' ./internal/replica

# The seed of a failure is printed: go test ./internal/sim -run TestSeed -sim.seed=N
sim:
	$(GO) test -count=1 -timeout 0 -v -run 'TestSchedules' ./internal/sim -sim.schedules=$(SCHEDULES) -sim.first=$(SEED)

# Every scenario to its end, and what the reductions leave held against searches without.
# With -explore.update -explore.fresh only those that the table does not have yet are
# searched. One of them: go test ./internal/explore -run TestScenario -v -explore.scenario='^put, put / cut$'
explore:
	$(GO) test -count=1 -timeout 0 -v -run 'TestWholeWorld|TestReductionsHideNothing' ./internal/explore -explore.all

# The tests of the tests: docs/mutations.md is the table, and docs/explore.md. After a
# change of the simulator's generator the schedules are searched anew with
# mutation-update, where ONLY='^U' searches those of the clauses that match and keeps the
# other lines; after one of the small world, with
# go test -tags mutation -timeout 0 -run TestMutations ./internal/explore -explore.hunt
mutation:
	$(GO) test -count=1 -tags mutation -run 'TestMutations' ./internal/sim ./internal/explore

mutation-update:
	$(GO) test -count=1 -tags mutation -timeout 0 -v -run 'TestMutations' ./internal/sim -mutation.update -mutation.only '$(ONLY)'

powerloss:
	$(GO) test -count=1 -timeout 0 -v -run 'TestPowerLoss' ./internal/replica -powerloss.subsets=$(SUBSETS)

# Real S3 servers and real clients, installed into .tools/ at pinned versions.
e2e: build
	scripts/tools.sh
	S3MIRROR_BIN=$(BIN) $(GO) test -count=1 -timeout 60m -parallel 4 -tags e2e ./test/e2e/...

# The whole of versitygw's own test suite and of minio-go's, and random requests to a server with and without
# s3mirror in front, which e2e runs in part; the night has time for more SEEDS.
CONFORMANCE := S3MIRROR_BIN=$(BIN) $(GO) test -count=1 -timeout 60m -v -tags e2e

conformance: SEEDS = 200
conformance: build
	scripts/tools.sh minio
	$(CONFORMANCE) ./test/e2e/conformance -conformance.whole
	$(CONFORMANCE) ./test/e2e/differential -differential.minio -differential.first $(SEED) -differential.seeds $(SEEDS)

conformance-update: build
	scripts/tools.sh minio
	$(CONFORMANCE) ./test/e2e/conformance -conformance.whole -conformance.update

# A client that fails stands so in the table: look at the diff. One of them over one of the four:
# go test -tags e2e ./test/e2e -run 'TestClients/mixed/https/mc$$' -matrix.all
clients: build
	scripts/tools.sh clients
	S3MIRROR_BIN=$(BIN) $(GO) test -count=1 -timeout 3h -v -tags e2e ./test/e2e -run 'TestClients$$' -matrix.all -matrix.update

# Objects of 5 GB and a bit, which no single PUT may have, by aws s3 cp, mc and minio-go.
large: build
	scripts/tools.sh clients
	S3MIRROR_BIN=$(BIN) $(GO) test -count=1 -timeout 3h -v -tags e2e ./test/e2e -run 'TestLargeUploads$$' -large.bytes=5500000000

qualify: build
	scripts/tools.sh minio
	S3MIRROR_BIN=$(BIN) $(GO) test -count=1 -timeout 10m -v -tags e2e ./test/e2e -run 'TestQualify$$' -qualify.whole

# Apache Cassandra from pinned jars, which Maven fetches into .tools/. Without a JDK 17 and Maven
# its tests are skipped, and with CI=true they fail.
cassandra-install: build build-failpoints
	test/cassandra/cassandra.sh install || [ $$? = 3 ]

cassandra: cassandra-install
	S3MIRROR_BIN=$(BIN) S3MIRROR_FAILPOINTS_BIN=$(BIN)-failpoints $(GO) test -count=1 -timeout 10m -v -tags cassandra ./test/cassandra

# That bytes on the disk do not grow with the writes, past the retention. The default only shows that it works.
cassandra-nightly: WRITES = 5000
cassandra-nightly: cassandra-install
	$(GO) test -count=1 -timeout 12h -v -tags cassandra,nightly -run 'TestVolume$$' ./test/cassandra -cassandra.writes=$(WRITES)

# An input that fails is kept below testdata/fuzz/ of its package.
fuzz:
	scripts/fuzz.sh $(FUZZTIME)

# What real clients send and what they are answered, rewritten; look at the diff.
wire-update:
	scripts/tools.sh
	$(GO) test -count=1 ./test/wire -run 'TestCapture$$' -update
	$(GO) test -count=1 ./test/wire -run 'TestReplay/.*/.*/.*/whole' -update

# The shipped binary and one with failpoints, each struck for DURATION, then a calm of 80 s.
CHAOS := S3MIRROR_BIN=$(BIN) S3MIRROR_FAILPOINTS_BIN=$(BIN)-failpoints $(GO) test -count=1 -v -tags chaos ./test/chaos -chaos.seed=$(SEED)

chaos: build build-failpoints
	scripts/tools.sh
	$(CHAOS) -timeout 30m -skip 'TestCluster$$|TestRing$$' -chaos.duration=$(DURATION)

# chaos, and in its calm chaos-cluster-brief. Without a JDK 17 and Maven, or HAProxy, that is
# skipped, loudly, and with CI=true it fails.
chaos-brief: cassandra-install
	scripts/tools.sh
	$(CHAOS) -timeout 30m -short -parallel 2 -run 'TestChaos$$|TestCluster$$' -chaos.duration=$(DURATION)

chaos-cluster: cassandra-install
	scripts/tools.sh minio
	$(CHAOS) -timeout 30m -run 'TestCluster$$' -chaos.duration=$(DURATION)

ring: cassandra-install
	S3MIRROR_BIN=$(BIN) $(GO) test -count=1 -v -tags chaos ./test/chaos -timeout 10m -run 'TestRing$$'

chaos-cluster-brief: cassandra-install
	scripts/tools.sh
	$(CHAOS) -timeout 15m -run 'TestCluster$$' -short -chaos.duration=20s

chaos-nightly: chaos-settle-0
	$(CHAOS) -timeout 3h -run 'TestChaos$$' -chaos.duration=$(DURATION) -chaos.times=default

# The test of the test: without a settle time it fails unless it finds a violation; with one,
# and everything else alike, unless it finds none.
chaos-settle-0: build build-failpoints
	scripts/tools.sh
	$(CHAOS) -timeout 30m -run 'TestChaos$$' -chaos.duration=$(DURATION) -chaos.times=settle-0
	$(CHAOS) -timeout 30m -run 'TestChaos$$' -chaos.duration=$(DURATION) -chaos.times=late

# Rows by the beginnings of their names; .bench/bench -list has them. A document
# is written only when all rows were asked for. Nothing is asserted. Without a JDK 17 and Maven
# the rows of Cassandra are said not to be measured, and it fails.
bench: build
	scripts/tools.sh
	$(if $(findstring cassandra,$(ROWS)),test/cassandra/cassandra.sh install || [ $$? = 3 ])
	@mkdir -p .bench
	$(GO) build -o .bench/bench ./test/bench
	.bench/bench -s3mirror $(BIN) -rows '$(ROWS)' -rounds $(or $(ROUNDS),0) -out docs/performance.md \
		-out-cassandra docs/performance-cassandra.md \
		-allow-foreign=$(if $(ALLOW_FOREIGN),true,false)

# The description of the admin API comes first: edit it, generate, look at the diff.
generate: $(LINT)/linters.stamp
	cd internal/admin/api && $(LINT)/oapi-codegen -config oapi-codegen.yaml -o api.gen.go openapi.yaml

# The console is built from a lock of npm's packages, Node among them. Without npm its check is
# skipped, loudly, and with CI=true it fails.
web:
	scripts/web.sh build

console-update: build
	scripts/tools.sh
	S3MIRROR_BIN=$(BIN) $(GO) test -count=1 -v -tags e2e ./test/e2e -run 'TestConsole$$' -console.update

console-nightly: build
	scripts/tools.sh
	S3MIRROR_BIN=$(BIN) $(GO) test -count=1 -v -timeout 60m -tags e2e ./test/e2e -run 'TestConsole$$' -console.objects=1000000

web-check:
	scripts/web.sh check || [ $$? = 3 ]

check: $(LINT)/linters.stamp web-check
	@cd internal/admin/api && $(LINT)/oapi-codegen -config oapi-codegen.yaml -o $(LINT)/api.gen.go openapi.yaml && \
		cmp -s api.gen.go $(LINT)/api.gen.go || { echo "internal/admin/api is not what openapi.yaml says: make generate"; exit 1; }
	@unformatted=$$(gofmt -l cmd internal test); \
		if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags e2e,cassandra,chaos,nightly ./test/...
	$(GO) vet -tags failpoints ./internal/replica ./cmd/...
	$(GO) vet -tags mutation ./internal/commit ./internal/sim ./internal/explore
	$(GO) mod tidy -diff
	$(LINT)/staticcheck -tags e2e,cassandra,chaos,nightly ./...
	$(LINT)/golangci-lint run --build-tags e2e,cassandra,chaos,nightly ./...
	$(LINT)/golangci-lint run --build-tags failpoints ./internal/replica/... ./cmd/...
	scripts/vuln.sh $(LINT)/govulncheck $(VULNDB)
	$(GO) test -count=1 ./test/layers
	$(MAKE) race

# The simulator and the search of the small world are left out: their worlds are of one
# goroutine each and share nothing, which TestBranchesShareNothing shows without a detector.
# One processor for each package, two packages at a time: two goroutines of a bubble that
# fire a timer at once share one context of the detector, and crash it (golang/go#78156).
# What it finds is what has no order, not what ran at one time. The longest comes first.
race:
	CGO_ENABLED=1 $(GO) test -race -short -cpu 1 ./internal/replica ./cmd/... $$($(GO) list ./internal/... | grep -v -e /sim$$ -e /explore$$ -e /replica$$)

# Built once, from a module of their own; again when their versions change.
$(LINT)/linters.stamp: tools/go.mod tools/go.sum
	@mkdir -p $(LINT)
	GOBIN=$(LINT) $(GO) install -C tools tool
	@touch $@

clean:
	rm -rf bin

clean-tools:
	rm -rf .tools web/node_modules web/dist
