#!/bin/sh
# Builds dist/python3-certbot-autowebroot_*.deb, and tries it beside the certbot of Debian 12 and of Debian 13: installed
# with apt into a fresh system of its own, its autopkgtests, purged. Nothing is installed on this machine but the tools.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
package=python3-certbot-autowebroot
python=$top/.venv/bin/python

missing=""
for needed in autopkgtest build-essential debhelper dh-python dpkg-dev iproute2 lintian mmdebstrap pybuild-plugin-pyproject \
    python3-acme python3-all python3-certbot python3-docutils python3-hypothesis python3-josepy \
    python3-pytest python3-setuptools python3-zope.interface; do
    dpkg-query -W -f '${db:Status-Status}' "$needed" 2>/dev/null | grep -qx installed || missing="$missing $needed"
done
if [ -n "$missing" ]; then
    echo "deb: installing the Debian packages$missing"
    apt-get -qq update
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $missing > /dev/null
fi

work=$(mktemp -d /var/tmp/autowebroot-deb.XXXXXX)
root=$work/root
remove_root() {
    for mounted in "$root/dev/pts" "$root/proc" "$root"; do
        if mountpoint -q "$mounted"; then umount "$mounted"; fi
    done
    rm -rf --one-file-system "$root"
}
trap 'remove_root; rm -rf --one-file-system "$work"' EXIT

echo "== dpkg-buildpackage"
"$python" -m build --sdist --no-isolation --outdir "$work" . > "$work/sdist.log" || { cat "$work/sdist.log"; exit 1; }
sdist=$(echo "$work"/certbot_autowebroot-*.tar.gz)
version=$(basename "$sdist" .tar.gz | sed 's/.*-//')
mv "$sdist" "$work/python-certbot-autowebroot_$version.orig.tar.gz"
tar -xzf "$work/python-certbot-autowebroot_$version.orig.tar.gz" -C "$work"
source=$work/certbot_autowebroot-$version
cp -r packaging/debian "$source/debian"
# A package that stays on this machine has no address; one that is uploaded needs a person's.
maintainer="${DEBFULLNAME:-local build} <${DEBEMAIL:-local@build.invalid}>"
sed -i "s|@MAINTAINER@|$maintainer|" "$source/debian/control" "$source/debian/changelog"
# The build machine of a distribution has neither root nor a network but the loopback (Debian Policy 4.9).
chown -R nobody:nogroup "$work"
chmod 755 "$work"
(cd "$source" && unshare --net sh -c 'ip link set lo up; exec "$@"' sh \
    setpriv --reuid=nobody --regid=nogroup --clear-groups \
    env -i PATH=/usr/bin:/bin HOME=/nonexistent LC_ALL=C.UTF-8 dpkg-buildpackage -us -uc) > "$work/build.log" 2>&1 ||
    { tail -n 60 "$work/build.log"; exit 1; }
grep -E '^[0-9]+ passed' "$work/build.log"

echo "== lintian"
lintian --version
lintian --allow-root --info --display-info --fail-on error,warning "$work"/*.changes
mkdir -p dist
cp "$work"/*.deb "$work"/*.dsc "$work"/*.orig.tar.gz "$work"/*.debian.tar.xz dist/
dpkg-deb --info "$work/${package}_$version-1_all.deb" | sed -n '/Installed-Size\|Depends\|Enhances/p'

for suite in bookworm trixie; do
    echo "== a fresh $suite with certbot"
    mmdebstrap --quiet --variant=apt --include=certbot "$suite" "$root" "$mirror"
    mount --bind "$root" "$root"
    mount --make-private "$root"
    mount -t proc proc "$root/proc"
    mount --bind /dev/pts "$root/dev/pts"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    chroot "$root" apt-get -qq update

    echo "== autopkgtest"
    # A chroot is not the container that two of them ask for; it is thrown away all the same.
    autopkgtest --ignore-restrictions=isolation-container "$work"/*.changes -- chroot "$root"

    echo "== purge"
    chroot "$root" apt-get -qq purge -y "$package"
    left=$(cd "$root" && find . -path ./proc -prune -o -path ./tmp -prune -o -iname '*autowebroot*' -print)
    [ -z "$left" ] || { echo "left behind: $left"; exit 1; }
    chroot "$root" certbot plugins
    echo "nothing of $package is left, certbot works"
    remove_root
done
