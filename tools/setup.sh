#!/bin/sh
# Installs what a make target needs: Debian packages (with root) and a virtual environment in .venv.
#   setup.sh         make test: every server
#   setup.sh demo    make demo: nginx, pebble, openssl, ip and a Certbot in .venv
#   setup.sh snap    the same, and the tools that build
#   setup.sh fast    make test-fast: the virtual environment alone, as any user
#   setup.sh build   make deb and make rpm: the tools that build, in the virtual environment
# Nothing is started: a server, timer or cron job that a package brings stays off, now and at the next boot.
set -eu
cd "$(dirname "$0")/.."
mode=${1:-test}

packages="nginx pebble openssl iproute2"
modules=""
case $mode in
    test)
        packages="$packages apache2 lighttpd lighttpd-mod-openssl caddy haproxy varnish busybox php-cli mini-httpd webfs
 nodejs acl curl procps slirp4netns libapache2-mod-security2 strace gcc libc6-dev mount nftables certbot
 python3-certbot-nginx python3-certbot-apache libaugeas-dev python3-zope.interface groff-base openssh-server rsync
 ansible-core"
        # As packages they would link themselves into the configuration of this machine's nginx.
        modules="libnginx-mod-http-ndk libnginx-mod-http-echo libnginx-mod-http-lua lua-resty-core lua-resty-lrucache"
        ;;
    fast|build) packages="" ;;
esac
python=${PYTHON:-python3}
"$python" -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv"
# The augeas of certbot-apache has no wheels, so pip builds it.
if [ "$mode" = test ] && ! "$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' \
    2>/dev/null; then
    packages="$packages python3-dev"
fi

installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# What works by itself: units, cron jobs, and the modules that mod_security's package enables.
system=${SYSTEM_ROOT:-}
started() {
    find "$system"/etc/systemd/system/multi-user.target.wants "$system"/etc/systemd/system/timers.target.wants \
        "$system"/etc/systemd/system/sockets.target.wants "$system"/etc/cron.d \
        "$system"/etc/apache2/mods-enabled/security2.* "$system"/etc/apache2/mods-enabled/unique_id.load \
        ! -type d ! -name '*.target' 2>/dev/null | sort
}

# Have what came with packages not start: $1 has what started before; the rest are the packages.
switch_off() {
    new=$(started | comm -13 "$1" -)
    shift
    # A unit stays off at an upgrade, and dpkg does not install a cron job again that an administrator has removed.
    for file in $new; do rm "$file"; done
    for package in "$@"; do
        for script in $(dpkg-query -L "$package" | sed -n 's|^/etc/init.d/||p'); do
            update-rc.d "$script" disable > /dev/null 2>&1 || true
        done
    done
    [ -z "$new" ] || echo "setup: off, because only the tests need their packages:" $(basename -a $new)
}

missing=""
for package in $packages; do
    installed "$package" || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "setup: this needs Debian's packages$missing, and there is no apt-get here." >&2
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "setup: not root, so ask an administrator for: apt-get install$missing" >&2
        [ "$mode" = demo ] || exit 1
    else
        # Debian starts a server as soon as it is installed, unless this policy says no (invoke-rc.d(8)).
        policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
        if [ ! -e "$policy" ]; then
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' > "$policy"
            chmod 755 "$policy"
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update
        # shellcheck disable=SC2086
        number=$(apt-get -qq --simulate install --no-install-recommends $missing | grep -c '^Inst ')
        echo "setup: installing $number Debian packages:" $missing "and what they need"
        before=$(mktemp)
        started > "$before"
        # shellcheck disable=SC2086
        apt-get -qq install --no-install-recommends -y $missing > /dev/null
        # shellcheck disable=SC2086
        switch_off "$before" $missing
        rm -f "$before"
    fi
fi

if [ ! -x .venv/bin/python ]; then
    echo "setup: making a virtual environment in .venv with $("$python" --version)"
    "$python" -m venv .venv
fi

# nginx takes modules of its own version only.
nginx=$(dpkg-query -W nginx 2>/dev/null || true)
if [ -n "$modules" ] && [ "$(cat .venv/nginx-modules/nginx 2>/dev/null)" != "$nginx" ]; then
    echo "setup: unpacking nginx's modules$(printf ' %s' $modules) into .venv/nginx-modules"
    rm -rf .venv/nginx-modules
    mkdir .venv/nginx-modules
    # Of two LuaJITs, the first that the package prefers.
    for library in luajit pcre; do
        library=$(apt-cache depends libnginx-mod-http-lua | sed -n "s/^[ |]*Depends: \(lib$library.*\)/\1/p" | head -n 1)
        [ -n "$library" ] || continue
        installed "$library" || apt-get -qq install --no-install-recommends -y "$library" > /dev/null
    done
    # shellcheck disable=SC2086
    (cd .venv/nginx-modules && apt-get -qq -o APT::Sandbox::User=root download $modules &&
        for deb in *.deb; do dpkg-deb -x "$deb" .; done)
    rm -f .venv/nginx-modules/*.deb
    echo "$nginx" > .venv/nginx-modules/nginx
fi

# Of mod_jk too, which its package would enable, the file alone.
if [ "$mode" = test ] && [ ! -e .venv/apache-modules/usr ]; then
    echo "setup: unpacking Apache's module libapache2-mod-jk into .venv/apache-modules"
    rm -rf .venv/apache-modules
    mkdir .venv/apache-modules
    (cd .venv/apache-modules && apt-get -qq -o APT::Sandbox::User=root download libapache2-mod-jk &&
        for deb in *.deb; do dpkg-deb -x "$deb" .; done)
    rm -f .venv/apache-modules/*.deb
fi

# What is installed for make test is enough for all targets.
requirements=$(mktemp)
plugin="--editable ."
case $mode in
    demo) echo certbot > "$requirements" ;;
    # A compiler, which certbot-apache wants, is not everywhere.
    fast) grep -v certbot-apache tools/requirements.txt > "$requirements" ;;
    snap) grep -E '^(build|certbot|setuptools.*)$' tools/requirements.txt > "$requirements" ;;
    build)
        plugin=""
        grep -E '^(build|setuptools.*)$' tools/requirements.txt > "$requirements" ;;
    *) cat tools/requirements.txt > "$requirements" ;;
esac
wanted=$(cat setup.py "$requirements" | cksum)
if [ "$(cat .venv/installed 2>/dev/null)" != "$(cat setup.py tools/requirements.txt | cksum)" ] &&
    [ "$(cat ".venv/installed-$mode" 2>/dev/null)" != "$wanted" ]; then
    echo "setup: installing into .venv:" $(cat "$requirements") ${plugin:+and this plugin}
    # shellcheck disable=SC2086
    .venv/bin/python -m pip install --quiet --disable-pip-version-check $plugin -r "$requirements"
    if [ "$mode" = test ]; then echo "$wanted" > .venv/installed; else echo "$wanted" > ".venv/installed-$mode"; fi
fi
rm -f "$requirements"
