# Three commands do all the set-up: `make demo` shows the main job, `make test` passes the tests, and `make test-fast`
# those of them that need neither root nor a server.
PYTHON_IN_VENV = .venv/bin/python

# Where pyenv keeps the Pythons that the version matrix wants; one that is not active is not in PATH.
PYENV_PYTHONS = $(shell ls -d $${PYENV_ROOT:-$$HOME/.pyenv}/versions/*/bin 2>/dev/null | paste -s -d :)
TOX = PATH="$$PATH:$(PYENV_PYTHONS)" $(PYTHON_IN_VENV) -m tox

.PHONY: demo test test-fast fast-as-nobody preflight matrix fresh deb rpm snap release lint docs links manual setup clean

demo:
	@tools/setup.sh demo
	@$(PYTHON_IN_VENV) -m tests.demo

# The oldest Certbot where its Python is; tools/preflight.sh says so where it is not.
CELLS = debian$(shell PATH="$$PATH:$(PYENV_PYTHONS)"; (command -v python3.10 || command -v python3.11) > /dev/null && echo ,oldest)

test: preflight setup lint fast-as-nobody
	@$(PYTHON_IN_VENV) -m pytest -n 2 --dist worksteal
	@$(TOX) run-parallel -p 2 --quiet -e $(CELLS) -- -k "nginx or plugins" \
	    tests/endtoend/test_story.py tests/endtoend/test_other_commands.py

# In PATH is no server, and nothing is written outside of the temporary directory but bytecode, which is a third of the
# time: one that may not write to build/ (nobody, below) does without.
FAST = env PATH=/nonexistent PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(CURDIR)/build/bytecode \
    $(CURDIR)/$(PYTHON_IN_VENV) -m pytest -n 2 --dist worksteal -m "not lab"

test-fast:
	@tools/setup.sh fast
	@$(FAST)

# As root, hold that these tests need no right of root's but to read the Python that may lie in root's home.
fast-as-nobody: setup
	@if [ "$$(id -u)" -eq 0 ]; then exec setpriv --reuid=65534 --regid=65534 --clear-groups \
	    --inh-caps=-all,+dac_read_search --ambient-caps=+dac_read_search $(FAST); else $(FAST); fi

preflight:
	@PATH="$$PATH:$(PYENV_PYTHONS)" tools/preflight.sh

# Every Certbot that must work, each with the Python that it belongs to: tox.ini. About an hour.
matrix: preflight setup
	@$(TOX) run

# README's quick start, word for word, in a fresh Debian 12 and 13.
fresh:
	@python3 -m tests.packaging.fresh_debian bookworm
	@python3 -m tests.packaging.fresh_debian trixie

# The Debian package, tried in a fresh Debian 12 and 13; the RPM and the snap as far as that goes on Debian.
deb rpm:
	@tools/setup.sh build
	@packaging/$@.sh

snap:
	@tools/setup.sh snap
	@packaging/snap.sh

release: setup
	@tools/release.sh

lint:
	@$(PYTHON_IN_VENV) -m ruff check .
	@$(PYTHON_IN_VENV) -m mypy
	@# What another Unix's standard library lacks: what is Linux's alone has to be marked as such.
	@$(PYTHON_IN_VENV) -m mypy --platform darwin --cache-dir .mypy_cache/darwin

# In build/docs. A warning is an error, and so is a reference to what is not there.
docs: setup
	@$(PYTHON_IN_VENV) -m sphinx -q -W -n --keep-going docs build/docs

# The links that leave the documentation: by the network, so in no test.
links: setup
	@$(PYTHON_IN_VENV) -m sphinx -q -b linkcheck docs build/links

# The manual page and the completion of bash, which are committed.
manual: setup
	@$(PYTHON_IN_VENV) tools/manpage.py > docs/certbot-autowebroot.1
	@$(PYTHON_IN_VENV) tools/completion.py > packaging/bash-completion/certbot-autowebroot

setup:
	@tools/setup.sh

clean:
	rm -rf .venv .tox build dist *.egg-info
