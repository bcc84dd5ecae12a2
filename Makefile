# `make demo` shows it at work, `make test` checks everything; both set up what is missing.

# The newest Python that runs: a version manager may have names on the path that lead nowhere.
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$name -c "" 2>/dev/null && command -v $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
MATURIN := maturin==1.16.0
CARGO_FUZZ := 0.13.2
FUZZ_SECONDS ?= 10
WHEELS := target/wheels
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export CARGO_TERM_COLOR ?= never

# Everything that ends up in the wheel.
SOURCES := Cargo.toml Cargo.lock pyproject.toml README.md $(shell find rust python -type f -not -name '*.pyc' -not -name '*.so')

.PHONY: help
help:  ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: tools
tools:
	@command -v cargo >/dev/null || { echo "candlewick needs Rust 1.94 or later: see https://rustup.rs"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "building candlewick needs Python 3.11 or later: set PYTHON to one"; exit 1; }

$(VENV)/created: | tools
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(MATURIN)
	touch $@

$(VENV)/developed: requirements-dev.txt $(VENV)/created
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@

# The one release build.
$(WHEELS)/built: $(SOURCES) $(VENV)/created
	rm -rf $(WHEELS)
	$(BIN)/maturin build --release --locked --out $(WHEELS)
	touch $@

$(VENV)/installed: $(WHEELS)/built
	$(BIN)/pip install --quiet $(WHEELS)/*.whl
	$(BIN)/pip install --quiet --force-reinstall --no-deps $(WHEELS)/*.whl
	touch $@

.PHONY: wheel
wheel: $(WHEELS)/built  ## build the wheel for this machine

.PHONY: demo
demo: $(VENV)/installed  ## build, install into .venv and run the demo models
	$(BIN)/candlewick ner "My name is Sarah Jessica Parker but you can call me Jessica"
	$(BIN)/candlewick classify "What a wonderful evening!" "The soup was cold and nobody cared."

.PHONY: test
test: lint test-rust models-check test-loom test-python test-clients test-browser test-schema test-load test-isa test-aarch64 test-package fuzz  ## everything, as CI runs it
	@echo "make test: all passed"

.PHONY: lint
lint: $(VENV)/developed  ## formatting, lints and types of both languages
	cargo fmt --check
	cargo clippy --locked --all-targets --features python -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
	$(BIN)/ruff check python tests benches demo scripts
	$(BIN)/ruff format --check python tests benches demo scripts
	$(BIN)/mypy
	$(BIN)/python scripts/licenses.py --check

.PHONY: test-rust
test-rust: | tools  ## Rust: unit tests, integration tests, documentation, the benchmarks' smoke run
	cargo test --locked
	cargo test --locked --bench forward -- --test
	cargo test --locked --bench phases -- --test
	cargo check --locked --no-default-features

# Out of what the goldens' tests have measured.
.PHONY: models-page
models-page: test-rust  ## write docs/MODELS.md anew
	$(PYTHON) scripts/models_page.py

.PHONY: models-check
models-check: test-rust  ## docs/MODELS.md is what the registry and the goldens say
	$(PYTHON) scripts/models_page.py --check

# A crate of its own, which is built in seconds.
.PHONY: test-loom
test-loom: | tools  ## the worker threads' protocol in every order of events
	cargo run --locked --release --quiet --manifest-path tests/loom/Cargo.toml --target-dir target/loom

.PHONY: test-asan
test-asan: | tools  ## kernels and weight files under AddressSanitizer, with a nightly Rust
	RUSTFLAGS=-Zsanitizer=address cargo +nightly test --locked --lib --target x86_64-unknown-linux-gnu \
		--target-dir target/asan -- kernels:: weights::

.PHONY: test-python
test-python: $(VENV)/developed $(VENV)/installed  ## Python: tests, the documents' examples, stubs against the module
	$(BIN)/python -m pytest tests --ignore=tests/clients --ignore=tests/schema --ignore=tests/test_load.py
	$(BIN)/python -m mypy.stubtest candlewick._native

# Each client in a folder of its own, named after the file that pins it.
PYTHON_CLIENTS := $(patsubst tests/clients/python/%.txt,target/clients/python-%/installed,\
	$(wildcard tests/clients/python/*.txt))
JAVASCRIPT_CLIENTS := $(if $(shell command -v node >/dev/null && command -v npm),\
	$(patsubst tests/clients/javascript/%/package.json,target/clients/javascript-%/installed,\
	$(wildcard tests/clients/javascript/*/package.json)))

target/clients/python-%/installed: tests/clients/python/%.txt tests/clients/constraints.txt | $(VENV)/created
	$(BIN)/python -m venv --clear --without-pip $(@D)
	$(BIN)/pip --python $(@D) install --quiet --no-compile --requirement $<
	touch $@

target/clients/javascript-%/installed: tests/clients/javascript/%/package.json
	mkdir -p $(@D)
	cp $< $(@D)
	npm install --prefix $(@D) --silent --no-package-lock --no-audit --no-fund --ignore-scripts
	touch $@

.PHONY: test-clients
test-clients: $(VENV)/developed $(VENV)/installed $(PYTHON_CLIENTS) $(JAVASCRIPT_CLIENTS)  ## Python, JavaScript and curl against a running server
	@$(if $(JAVASCRIPT_CLIENTS),:,echo "test-clients: without JavaScript, there is no Node with npm")
	$(BIN)/python -m pytest tests/clients

# A client for load, in a crate of its own, which is built in seconds.
LOAD := target/load/release/candlewick-load
$(LOAD): tests/load/Cargo.toml tests/load/Cargo.lock $(wildcard tests/load/src/*.rs) | tools
	cargo build --locked --release --quiet --manifest-path tests/load/Cargo.toml --target-dir target/load
	touch $@

.PHONY: test-load
test-load: $(LOAD) $(VENV)/developed $(VENV)/installed  ## the server under load of up to 512 clients
	$(BIN)/python -m pytest tests/test_load.py

.PHONY: test-browser
test-browser: $(VENV)/installed  ## the server's pages in headless Chromium: answers, calls to copy, accessibility
	scripts/test_browser.sh

# An environment of its own: it brings another pytest and a dozen packages.
.venv-schema/installed: tests/schema/requirements.txt | tools
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --requirement $<
	touch $@

.PHONY: test-schema
test-schema: .venv-schema/installed $(VENV)/developed $(VENV)/installed  ## the OpenAPI document against its server
	$(BIN)/python -m pytest tests/schema

# The kernels and the goldens again, by every instruction set that this processor has.
.PHONY: test-isa
test-isa: $(VENV)/developed $(VENV)/installed  ## kernels and goldens by each instruction set
	@for isa in scalar avx2 avxvnni avx512 avx512vnni avx512bf16 amx neon neondotprod; do \
		export CANDLEWICK_ISA=$$isa; \
		if $(BIN)/python -c "import candlewick; candlewick.pipeline('ner')" 2>/dev/null; then \
			echo "instruction set $$isa"; \
			cargo test --locked --quiet --lib kernels && cargo test --locked --quiet --test golden --test flair_golden \
				&& $(BIN)/python -m pytest --quiet tests/test_golden.py tests/test_long_context.py -k "test_golden or reference" || exit 1; \
		else echo "instruction set $$isa: not on this processor"; fi; \
	done

.PHONY: test-aarch64
test-aarch64: | tools  ## kernels and goldens by each instruction set of an emulated aarch64
	scripts/test_aarch64.sh

.PHONY: test-package
test-package: $(WHEELS)/built  ## the wheel alone in an empty environment, its size, and the source distribution
	$(PYTHON) scripts/package.py $(WHEELS)

.PHONY: fuzz
fuzz: | tools  ## every fuzz target for FUZZ_SECONDS on the kept corpus
	@if ! cargo +nightly --version >/dev/null 2>&1; then echo "fuzz: skipped, there is no nightly Rust"; exit 0; fi; \
	cargo +nightly fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz@$(CARGO_FUZZ); \
	for target in config safetensors tokenizer sentencepiece request body; do \
		echo "fuzz $$target"; \
		mkdir -p fuzz/target/found/$$target; \
		cargo +nightly fuzz run --sanitizer none --codegen-units 16 $$target fuzz/target/found/$$target fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=4096 > fuzz/target/$$target.log 2>&1 \
			|| { tail -n 60 fuzz/target/$$target.log; exit 1; }; \
		grep Done fuzz/target/$$target.log; \
	done

.PHONY: soak
soak:  ## fuzzing for ten minutes a target, AddressSanitizer, and the source distribution built from nothing
	$(MAKE) fuzz FUZZ_SECONDS=600
	$(MAKE) test-asan
	$(PYTHON) scripts/package.py --build-sdist $(WHEELS)

.PHONY: bench
bench: .venv-bench/installed $(LOAD)  ## against torch, ONNX Runtime, OpenVINO and CTranslate2; writes benches/RESULTS.md
	.venv-bench/bin/python -m pytest benches -p no:cacheprovider -s

.PHONY: bench-families
bench-families: .venv-bench/installed  ## its part about other families than BERT alone
	.venv-bench/bin/python -m pytest benches/test_families.py -p no:cacheprovider -s

.PHONY: bench-server
bench-server: .venv-bench/installed $(LOAD)  ## its part about the server alone
	.venv-bench/bin/python -m pytest benches/test_server.py -p no:cacheprovider -s

.venv-bench/installed: benches/requirements.txt $(WHEELS)/built
	test -d .venv-bench || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet -r benches/requirements.txt
	.venv-bench/bin/pip install --quiet --force-reinstall --no-deps $(WHEELS)/*.whl
	touch $@

.PHONY: release-wheel
release-wheel: $(VENV)/created  ## the manylinux_2_28 wheel that is published
	$(BIN)/pip install --quiet ziglang==0.17.0 auditwheel==6.8.2
	$(BIN)/maturin build --release --locked --zig --compatibility manylinux_2_28 --out dist
	$(BIN)/auditwheel show dist/*.whl

.PHONY: format
format: $(VENV)/developed  ## format both languages
	cargo fmt
	$(BIN)/ruff format python tests benches demo scripts
	$(BIN)/ruff check --fix python tests benches demo scripts

.PHONY: clean
clean:  ## remove everything that was built
	rm -rf target $(VENV) .venv-bench .bench dist fuzz/target
