# Two commands do all the set-up: `make demo` shows the main job, `make test` passes the tests.
PYTHON_IN_VENV = .venv/bin/python

.PHONY: demo test lint setup clean

demo:
	@tools/setup.sh demo
	@$(PYTHON_IN_VENV) -m tests.demo

test: setup lint
	@$(PYTHON_IN_VENV) -m pytest -n 2

lint:
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m mypy

setup:
	@tools/setup.sh

clean:
	rm -rf .venv build dist *.egg-info
