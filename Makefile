# Two commands, from a fresh clone: `make build` and `make test`. Everything else is `invoke --list`.
PRECISION ?= int8
MODEL ?= digits
INVOKE = .venv/bin/invoke

.PHONY: build test venv clean

build: venv
	$(INVOKE) build --model $(MODEL) --precision $(PRECISION)

test: venv
	$(INVOKE) test

venv:
	@sh scripts/bootstrap.sh

clean:
	rm -rf build .venv
