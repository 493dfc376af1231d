#!/bin/sh
# Tries the RPM spec as far as Debian's rpm goes: rpmlint; the source package; and the binary package with a few lines in
# place of Fedora's Python macros (rpm-macros-on-debian). What only Fedora can tell: the generated build requirements,
# the Requires that its generators make of our metadata, mock, and an installation with dnf.
set -eu
cd "$(dirname "$0")/.."
top=$PWD
python=$top/.venv/bin/python

missing=""
for needed in rpm rpmlint python3-build python3-docutils python3-hypothesis python3-installer python3-pytest \
    python3-certbot python3-setuptools python3-wheel python3-zope.interface; do
    dpkg-query -W -f '${db:Status-Status}' "$needed" 2>/dev/null | grep -qx installed || missing="$missing $needed"
done
if [ -n "$missing" ]; then
    echo "rpm: installing the Debian packages$missing"
    apt-get -qq update
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $missing > /dev/null
fi

work=$(mktemp -d /var/tmp/autowebroot-rpm.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir "$work/SOURCES"
"$python" -m build --sdist --no-isolation --outdir "$work/SOURCES" . > "$work/sdist.log" ||
    { cat "$work/sdist.log"; exit 1; }

echo "== rpmbuild"
rpmbuild --load="$top/packaging/rpm-macros-on-debian" --define "_topdir $work" --nodeps \
    -ba packaging/python-certbot-autowebroot.spec > "$work/build.log" 2>&1 || { tail -n 60 "$work/build.log"; exit 1; }
grep -E '^[0-9]+ passed' "$work/build.log"
rpm -qp --list "$work"/RPMS/noarch/*.rpm | grep -v -e '\.py$' -e '/doc/'
rpm -qp --queryformat '%{NAME} %{VERSION}: installed size %{SIZE}\n' "$work"/RPMS/noarch/*.rpm
echo "== rpmlint"
rpmlint --strict --config packaging/rpmlint.toml packaging/python-certbot-autowebroot.spec \
    "$work"/SRPMS/*.rpm "$work"/RPMS/noarch/*.rpm
echo "== into a root of its own, and out of it"
rpm="rpm --force-debian --root $work/root --nodeps"
$rpm --install "$work"/RPMS/noarch/*.rpm
$rpm --verify python3-certbot-autowebroot
env -C "$work" PYTHONPATH="$work/root/usr/lib/python3/dist-packages" /usr/bin/python3 -B -m certbot_autowebroot.cli --version
$rpm --erase python3-certbot-autowebroot
left=$(find "$work/root" -iname '*autowebroot*')
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
mkdir -p dist
cp "$work"/SRPMS/*.rpm "$work"/RPMS/noarch/*.rpm dist/
