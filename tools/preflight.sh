#!/bin/sh
# Looks for what `make test` relies on and cannot install, before anything is installed.
set -eu

if [ "$(id -u)" -ne 0 ]; then
    echo "make test needs root: each test process makes a network of its own. make test-fast needs no root." >&2
    exit 1
fi
# What tests/lab/net.py does.
if ! unshare --net --mount true 2>/dev/null; then
    echo "make test needs CAP_SYS_ADMIN, to make network and mount namespaces. A container has it with" \
        "docker run --privileged; make test-fast needs none." >&2
    exit 1
fi
command -v python3.10 > /dev/null || command -v python3.11 > /dev/null ||
    echo "make test leaves out the oldest Certbot, which needs Python 3.10 or 3.11 (pyenv install 3.11)." >&2
