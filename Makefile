# Custody. `make` lists what can be made; README.md says what it is.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TOOLS := $(CURDIR)/.tools/bin
export CUSTODY_TOOLS := $(TOOLS)
export PATH := $(TOOLS):$(PATH)

MODULE  := github.com/forensic-custody/custody
FOLDERS := api cmd custody deploy investigate ledger storage
TIMEOUT ?= 10m

.PHONY: help build page demo demo-incident run test lint bench bench-audit bench-storage bench-memory chaos fuzz vuln clean
.NOTPARALLEL:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## The program, as bin/custody, and the verifier alone, as bin/custody-verify
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/custody ./cmd/custody-verify

page: ## The verifier as one web page, bin/custody-verify.html: no network, no other file
	go run ./cmd/page -o bin/custody-verify.html

demo: build ## The main job from end to end; FILE is the artifact, STORE=s3 keeps it on an S3 server (optional)
	@deploy/tools.sh e2fsprogs $(if $(filter s3,$(STORE)),minio)
	@FILE='$(FILE)' STORE='$(STORE)' deploy/demo.sh

demo-incident: build ## A whole invented incident, from the first indication to the post-mortem and the auditor's replay
	@deploy/tools.sh e2fsprogs
	@deploy/demo-incident.sh

run: build ## Set up on first use, then serve, from the folder DIR (optional)
	@DIR='$(DIR)' deploy/run.sh

# Where goroutines meet: these are tested under the race detector too.
RACE := $(addprefix $(MODULE)/,api cmd/house custody/guard deploy/lossyfs ledger storage)
# What goes step by step, or waits, is left to the run without it.
CALM := BrokenAtEveryStep|TestOutages|TestAnAuthorityIsLostAndComesBack|TestRowsEditedOnServers|TestFilesThatAreNotRight|TestAuthenticButExpandsToSomethingElse|TestSelfMadeStamps|TestACertificateCounts|TestOnAServer|TestServer|EveryStepFails|NeverAWrongByte|TestAltered|TestRollbacks|TestRoundTrip|TestAStretch|TestMinIO|TestLocks|TestReadBackOnSchedule|TestTheStoresCredentialsExpire|TestAHoldAcrossStarts|TestAPartIsMissing|TestRebuild|TestStalledSigner|TestServiceOnALogServer|TestVersity|TestADisposalRemovesEveryVersion|TestTheLogsKeyGivesWay|TestStampsAreMadeAgain|TestNotCertifiedWithoutAList|TestDestroyedAfterARebuild
empty :=
space := $(empty) $(empty)

# $(call gotest,NAME,ARGUMENTS): go test with its normal output. A test that was skipped has failed.
define gotest
gotestsum --format standard-quiet --jsonfile .tools/$(1).json -- -timeout $(TIMEOUT) $(2)
@! grep -o '"Action":"skip","Package":"[^"]*","Test":"[^"]*"' .tools/$(1).json || { echo "skipped tests count as failed"; exit 1; }
endef

test: ## Every test, with its own set-up
	@deploy/tools.sh gcc gotestsum minio versitygw postgresql trillian_log_server trillian_log_signer litewitness omniwitness spicy tessera-fsck tessera-mirror tessera-migrate tessera-log peers openssh-client e2fsprogs ewf-tools qemu-utils curl formats openssl chromium papers shacl
	$(call gotest,test,./...)
	$(call gotest,race,-race -skip '$(CALM)' $$(go list ./... | grep -E '^($(subst $(space),|,$(RACE)))'))

lint: ## Formatting, vet, linters, the module's name
	@deploy/tools.sh golangci-lint
	@test "$$(go list -m)" = $(MODULE) || { echo "the module must be called $(MODULE)"; exit 1; }
	@! gofmt -l $(FOLDERS) | grep . || { echo "not formatted: run gofmt -w on the files above"; exit 1; }
	go vet ./...
	golangci-lint run ./...

bench: ## The README's figures: access records, the log beside Tessera's, intake and retrieval beside sha256sum and cp, verification
	@deploy/tools.sh peers
	go test -run '^$$' -bench Access -benchtime 4000x -count $(or $(COUNT),3) -timeout 30m ./cmd/custody
	for round in $$(seq $(or $(COUNT),3)); do \
		go test -run '^$$' -bench Append64 -benchtime 8000x ./ledger | grep ^Benchmark; \
		folder=$$(mktemp -d); tessera-bench $$folder 64 4000; rm -rf $$folder; \
		go test -run '^$$' -bench Append1$$ -benchtime 500x ./ledger | grep ^Benchmark; \
		folder=$$(mktemp -d); tessera-bench $$folder 1 50; rm -rf $$folder; \
	done
	go test -run '^$$' -bench Transfer -benchtime 3x -timeout 30m ./cmd/custody
	go test -run '^$$' -bench Verify -cpu 1 -count $(or $(COUNT),3) -timeout 30m ./custody/bundle

bench-audit: ## An audit of RECORDS records, made for it, beside the rate of Ed25519 itself
	CUSTODY_AUDIT_RECORDS=$(or $(RECORDS),1000000) go test -run '^$$' -bench Audit -benchtime 1x -count $(or $(COUNT),3) -timeout 60m ./cmd/house

bench-storage: ## Intake and retrieval on S3 beside mc, rclone and restic: N rounds of MIB
	@deploy/tools.sh minio mc rclone restic e2fsprogs
	CUSTODY_BENCH_MIB=$(or $(MIB),2048) go test -run '^$$' -bench Storage -benchtime $(or $(N),3)x -timeout 120m ./cmd/custody

bench-memory: ## Memory of client and service for a sparse image of GIB; fails above 160 MiB
	@deploy/tools.sh minio
	CUSTODY_SPARSE_GIB=$(or $(GIB),64) go test -run '^$$' -bench Sparse -benchtime 1x -timeout 240m ./cmd/custody

chaos: ## Kill, cut and fill what it runs on, N times
	@deploy/tools.sh minio postgresql trillian_log_server trillian_log_signer
	CUSTODY_CHAOS_N=$(or $(N),20) go test -count 1 -timeout 60m -run '^TestChaos' ./cmd/...

# Go 1.26 often reports the end of the time as a failure (go.dev/issue/75804). Where nothing else was
# reported and no input was found, it is the end of the time; anything else fails.
fuzz: ## Every fuzz test, each for TIME
	@deploy/tools.sh e2fsprogs ewf-tools qemu-utils
	@go test -list '^Fuzz' ./... \
	| awk '/^Fuzz/ {name[++n] = $$1} /^ok/ {for (i = 1; i <= n; i++) print name[i], $$2; n = 0}' \
	| while read -r name package; do \
		echo "$$package $$name"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(or $(TIME),60s) -fuzzminimizetime 10x "$$package" </dev/null 2>&1 | tee .tools/fuzz.out || { \
			[[ $$(sed -n '/^--- FAIL: /,/^FAIL$$/p' .tools/fuzz.out | sed '1d;$$d') == '    context deadline exceeded' ]] || exit 1; \
			echo "the time was over, and nothing was found"; \
		}; \
	done

# .ci/vulnerabilities lists findings that were looked at and do not concern us, each with its reason.
vuln: ## Known vulnerabilities in what we use; VULNDB is the folder of an unpacked database
	@deploy/tools.sh govulncheck
	@test -d '$(VULNDB)' || { echo "usage: make vuln VULNDB=folder"; exit 2; }
	govulncheck -db 'file://$(abspath $(VULNDB))' ./... | tee .tools/vuln.txt || [[ $$? == 3 ]]
	@! sed -n 's/^Vulnerability #[0-9]*: //p' .tools/vuln.txt | grep -vxFf <(awk '/^GO-/ {print $$1}' .ci/vulnerabilities)

clean: ## Remove what was built and installed here
	rm -rf bin .tools
