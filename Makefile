# Needs Go, git and make; what else is missing is installed. `make` alone lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# The linter is built from its exact version, once, and kept with the other private things.
LINT_VERSION := v2.15.0
LINT := .cardea/bin/golangci-lint-$(LINT_VERSION)

# Runs a command beside a throw-away Postgres and Redis. Programs are built and then run, not "go
# run": that keeps signals and exit codes to itself, and calls Ctrl-C an error.
WITH := .cardea/bin/with

TESTS ?= ./...
FUZZ_TIME ?= 30s
SIZE ?= demo
URL ?= http://127.0.0.1:8080/graphiql

## Everyday

# A demo starts soonest when it is compiled fastest: without optimisation, the first door of a fresh
# machine opens twenty seconds earlier. What is measured or deployed is built with plain go build.
QUICKLY := -gcflags='all=-N -l' -ldflags='-s -w'

.PHONY: run
run: ## Start Cardea with a demo organization and simulated doors; Ctrl-C stops it, the data stays
	go build $(QUICKLY) -o .cardea/bin/demo ./cmd/cardea
	.cardea/bin/demo demo

# -compiler: on Linux the race detector is linked through cgo, which needs a C compiler. A test run
# without it would be weaker than CI's, so that one is installed like Postgres and Redis.
.PHONY: test
test: $(WITH) ## Run every test against real servers with the race detector; TESTS=./stream/... for fewer
	$(WITH) -compiler -chromium -node -dir .cardea/test -- go test -race -shuffle=on -timeout=15m $(TESTS)

.PHONY: services
services: $(WITH) ## Keep servers for single tests in the foreground, and print how to reach them
	$(WITH) -dir .cardea/test -hold

.PHONY: fmt
fmt: $(LINT) ## Format the code
	$(LINT) fmt

.PHONY: lint
lint: $(LINT) ## Look for mistakes and for imports that break the house rules
	$(LINT) run

.PHONY: generate
generate: ## Generate code from ent/schema and graph/schema, and the documents from the code
	go generate ./ent
	go generate $$(go list -e ./... | grep -v '/ent$$')

.PHONY: migration
migration: $(WITH) ## Write the migration from the model's last change; NAME=add_x
	@test -n "$(NAME)" || { echo 'name the change: make migration NAME=add_x' >&2; exit 2; }
	$(EMPTY_DATABASE) go run ent/migrate/migrations/diff.go -name $(NAME)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^## /{print "\n" substr($$0, 4)} /^[a-z-]+:.*## /{printf "  %-17s %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

## Checks

.PHONY: check
check: ## All that CI checks: generated code, format, vet, lint, migrations, tests
	$(MAKE) check-generated
	$(MAKE) check-format
	go vet ./...
	$(MAKE) lint
	$(MAKE) check-migrations
	$(MAKE) check-walls SHORT=1
	$(MAKE) test

# What differs before differs after, so that work in progress can be checked too.
STATE := { git diff HEAD; git ls-files --others --exclude-standard | git hash-object --stdin-paths; } \
	| git hash-object --stdin

.PHONY: check-generated
check-generated: ## Fail if generating changes anything
	@before=$$($(STATE)) && $(MAKE) --no-print-directory generate && after=$$($(STATE)) && \
	if [ "$$before" != "$$after" ]; then \
		git status --short; git diff --stat; \
		echo 'generated code was not current; it is now: commit it' >&2; exit 1; \
	fi

.PHONY: check-format
check-format: ## Fail if gofmt would change anything
	@files=$$(git ls-files -z '*.go' | xargs -0 gofmt -l) && \
	if [ -n "$$files" ]; then echo "run make fmt:" $$files >&2; exit 1; fi

# A database of a given URL is not empty, and not ours to replay migrations into.
EMPTY_DATABASE = rm -rf .cardea/empty && \
	env -u CARDEA_DATABASE_URL -u CARDEA_REDIS_URL $(WITH) -dir .cardea/empty --

# Part of a release: from then on, CI fails if a client of that schema would break.
.PHONY: release-schema
release-schema: ## Make the schema the one that clients may rely on
	cp docs/schema.graphql docs/schema.released.graphql

.PHONY: check-migrations
check-migrations: $(WITH) ## Fail if the migrations do not lead to the model
	$(EMPTY_DATABASE) go run ent/migrate/migrations/diff.go -check

# The build tag leaves the Ent rule out: what then keeps organizations apart is Postgres alone.
.PHONY: check-walls
check-walls: $(WITH) ## Fail if row-level security alone lets one organization reach another; SHORT=1: tables only
	$(WITH) -compiler -dir .cardea/test -- go test -race -tags norule -timeout=15m ./ent/rule
	$(if $(SHORT),,$(WITH) -compiler -dir .cardea/test -- go test -race -tags norule -timeout=15m \
		-run 'TestMatrix|Stranger' ./graph ./access)

.PHONY: fuzz
fuzz: ## Run each fuzz target for a while; FUZZ_TIME=5m
	@set -e; for package in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -r -n 1 dirname | sort -u); do \
		for target in $$(go test -list '^Fuzz' ./$$package | grep '^Fuzz'); do \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZ_TIME) ./$$package; \
		done; \
	done

.PHONY: histories
histories: $(WITH) ## Check long histories of rights that come and go while people unlock; LONG=50
	$(WITH) -compiler -dir .cardea/test -- go test -race -count=1 -timeout=60m -run 'Histories|TestOneTimeKey' \
		./access -args -histories=$(or $(LONG),20)

.PHONY: chaos
chaos: ## Break what Cardea stands on under load, ROUNDS=50 times; SEED=… does the same again
	go run ./internal/chaos -rounds $(or $(ROUNDS),50) -seed $(or $(SEED),0) $(FLAGS)

.PHONY: tamper
tamper: $(WITH) ## Edit an audit log in the database 10,000 times at random, and find each edit; TAMPERS= SEED=
	$(WITH) -dir .cardea/test -- go test -count=1 -v -timeout=60m -run 'TestTampering' \
		./transfer -args -tampers=$(or $(TAMPERS),10000) -tamper-seed=$(or $(SEED),0)

.PHONY: writers
writers: $(WITH) ## Kill processes of 64 writers every 5 s until ten logs have a million entries, and verify each time; KILLS= ENTRIES=
	$(WITH) -dir .cardea/test -- go test -count=1 -v -timeout=120m -run 'TestKilledWriters' \
		./transfer -args -writer-kills=$(or $(KILLS),20) -writer-entries=$(or $(ENTRIES),1000000) -writer-pause=5s

## Figures and pictures

.PHONY: bench
bench: ## Measure on this machine, each figure beside its floor: docs/performance.md; QUICK=1 for a taste
	go run ./internal/bench $(if $(QUICK),-quick)

.PHONY: bench-explain
bench-explain: $(WITH) ## Time the queries that explain access, over a large organization
	$(WITH) -- go test -run '^$$' -bench Explain -benchtime 300x ./cmd/cardea

.PHONY: bench-timing
bench-timing: $(WITH) ## Compare what answers take that must not tell whether something exists
	$(WITH) -- go test -run '^$$' -bench Timing -benchtime 10000x ./access

.PHONY: bench-fence
bench-fence: $(WITH) ## Measure what row-level security costs reads, in turns with and without it
	$(WITH) -- go test -run '^$$' -bench Fence -benchtime 15x ./cmd/cardea

.PHONY: bench-hostile
bench-hostile: ## Measure what 200 hostile documents a second do to everybody else
	go run ./internal/bench -hostile $(if $(QUICK),-quick)

.PHONY: seed
seed: .cardea/bin/cardea ## Fill a database, CARDEA_DATABASE_URL, with an organization; SIZE=bench or explain for a large one
	$< seed -size $(SIZE)

.PHONY: screenshot
screenshot: ## Take the pictures in docs/ from a running demo; TOKEN=cardea_… URL=…
	cd docs/screenshot && npm ci && CARDEA_TOKEN='$(TOKEN)' node screenshot.js '$(URL)'

.PHONY: .cardea/bin/cardea .cardea/bin/with
.cardea/bin/cardea:
	go build -o $@ ./cmd/cardea
.cardea/bin/with:
	go build -o $@ ./internal/localservices/with

$(LINT):
	GOBIN=$(CURDIR)/.cardea/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .cardea/bin/golangci-lint $@
