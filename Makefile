# Two commands, from a fresh clone: `make build` and `make test`. Everything else is `invoke --list`.
PRECISION ?= int8
MODEL ?= digits
INVOKE = .venv/bin/invoke

.PHONY: build test venv cluster clean

build: venv
	$(INVOKE) build --model $(MODEL) --precision $(PRECISION)

test: venv
	$(INVOKE) test

venv:
	@sh scripts/bootstrap.sh

# What `invoke sweep --scheduler` and `--hosts` need beside the rest, on each machine.
cluster: venv
	.venv/bin/python -I scripts/pip_settings.py install --quiet --require-hashes --only-binary=:all: -r docker/locks/cluster.txt

clean:
	rm -rf build .venv
