#!/bin/sh
# Installs what `make demo` and `make test` need: Debian packages (with root) and a virtual environment in .venv.
# For `make test-fast` (the argument is fast) the virtual environment alone, as any user.
# Nothing is started: a server that a package brings stays off, now and at the next boot.
set -eu
cd "$(dirname "$0")/.."

packages="pebble nginx apache2 lighttpd lighttpd-mod-openssl caddy haproxy varnish busybox php-cli mini-httpd webfs nodejs
 slirp4netns libapache2-mod-security2 libnginx-mod-http-echo libnginx-mod-http-lua strace gcc libc6-dev iproute2 nftables openssl
 certbot python3-certbot-nginx python3-certbot-apache libaugeas-dev python3-zope.interface groff-base"
python=${PYTHON:-python3}
"$python" -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv"
# The augeas of certbot-apache has no wheels, so pip builds it.
"$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null ||
    packages="$packages python3-dev"
if [ "${1:-}" = fast ]; then packages=""; fi

missing=""
for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done

if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "setup: this needs Debian's packages$missing, and there is no apt-get here." >&2
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "setup: not root, so ask an administrator for: apt-get install$missing" >&2
        [ "${1:-}" = demo ] || exit 1
    else
        echo "setup: installing the Debian packages$missing"
        # Debian starts a server as soon as it is installed, unless this policy says no (invoke-rc.d(8)).
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' > "$policy"
            chmod 755 "$policy"
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update
        # shellcheck disable=SC2086
        apt-get -qq install --no-install-recommends -y $missing > /dev/null
        for package in $missing; do
            case $package in
                nginx|apache2|lighttpd|caddy|haproxy|varnish|mini-httpd|webfs)
                    update-rc.d "$package" disable > /dev/null 2>&1 || true ;;
                libapache2-mod-security2)
                    a2dismod -q -f security2 > /dev/null 2>&1 || true ;;
            esac
        done
    fi
fi

if [ ! -x .venv/bin/python ]; then
    echo "setup: making a virtual environment in .venv with $("$python" --version)"
    "$python" -m venv .venv
fi
wanted_for() { cat setup.py "$1" | cksum; }
installed=$(cat .venv/installed 2>/dev/null || true)
requirements=$(mktemp)
# Demo and fast tests have no need of certbot-apache, and may run where a compiler is not to be had.
case ${1:-} in
    demo|fast) grep -v certbot-apache tools/requirements.txt > "$requirements" ;;
    *) cat tools/requirements.txt > "$requirements" ;;
esac
wanted=$(wanted_for "$requirements")
if [ "$installed" != "$wanted" ] && [ "$installed" != "$(wanted_for tools/requirements.txt)" ]; then
    echo "setup: installing certbot, its nginx and apache plugins, this plugin and the test tools into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable . -r "$requirements"
    echo "$wanted" > .venv/installed
fi
rm -f "$requirements"
