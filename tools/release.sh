#!/bin/sh
# The release checklist: everything that has to hold before a version is published. Nothing is published here.
# It takes the version that the package says, and about an hour; as root, on Debian.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE
umask 022  # the modes of files are among the bytes of a wheel

step() { printf '\n== %s\n' "$*"; }
fail() { echo "release: $*" >&2; exit 1; }

tools/setup.sh
python=$PWD/.venv/bin/python
version=$("$python" -c 'import certbot_autowebroot; print(certbot_autowebroot.__version__)')

step "The version $version is SemVer, new, has its section in every changelog, and the project has its addresses"
echo "$version" | grep -Eqx '(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}' || fail "$version is no SemVer version"
grep -Eqx "\[$version\] - [0-9]{4}-[0-9]{2}-[0-9]{2}" CHANGELOG.rst || fail "CHANGELOG.rst has no section [$version] - DATE"
head -n 1 packaging/debian/changelog | grep -Fq "($version-1)" || fail "packaging/debian/changelog does not begin with $version-1"
grep -Eq "^Version: +$version\$" packaging/python-certbot-autowebroot.spec || fail "the RPM spec is of another version"
grep -Fq '"Source": ' setup.py || fail "PROJECT_URLS in setup.py has no address of the source"
grep -q '^URL: ' packaging/python-certbot-autowebroot.spec || fail "the RPM spec has no URL, and Source0 no address"
for field in Homepage Vcs-Browser Vcs-Git; do
    grep -q "^$field: " packaging/debian/control || fail "packaging/debian/control has no $field"
done
grep -q '^https:' packaging/debian/watch || fail "packaging/debian/watch has no address"
grep -rlF -e @MAINTAINER@ packaging/debian && fail "no address of a person there"
if [ -e .git ]; then  # a file, in a worktree
    [ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"
    [ -z "$(git tag --list "v$version")" ] || fail "v$version is tagged already"
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    export SOURCE_DATE_EPOCH
fi

step "The documentation"
make docs
for file in *.rst; do  # a date that is longer than its underline, for one: an index of packages would show plain text
    "$python" -m docutils --report=2 --halt=2 --writer=pseudoxml "$file" /dev/null || fail "$file is not well-formed"
done

step "All tests, on the newest Certbot, the oldest and Debian's own"
make test

step "The version matrix"
make matrix

step "sdist and wheel"
rm -rf dist
"$python" -m build --outdir dist
"$python" -m twine check --strict dist/*

step "The sdist passes all of its tests"
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
chmod 755 "$unpacked"
tar -xzf "dist/certbot_autowebroot-$version.tar.gz" -C "$unpacked"
# Certbot, too, is to have the plugin from there and not from this checkout.
(cd "$unpacked/certbot_autowebroot-$version" && PYTHONPATH=$PWD "$python" -m pytest -n 2)

step "README's quick start in a fresh Debian 12 and 13"
make fresh

step "Debian package"
make deb
cmp "dist/certbot_autowebroot-$version.tar.gz" "dist/python-certbot-autowebroot_$version.orig.tar.gz" ||
    fail "Debian's source is not the sdist"

step "RPM"
make rpm

step "Snap"
make snap

step "certbot-autowebroot $version may be published:"
ls -l dist
echo "git tag -s v$version && $python -m twine upload dist/certbot_autowebroot-$version*"
