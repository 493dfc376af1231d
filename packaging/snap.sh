#!/bin/sh
# Builds the snap where snapcraft is (it needs snapd and LXD, which want systemd). Elsewhere the recipe is held against
# craft-application and craft-parts, the libraries of snapcraft that read it: every key that a snap shares with the other
# crafts, and every key of the part and its plugin. What then is not tried: the build, and the connection to Certbot's snap.
set -eu
cd "$(dirname "$0")/.."
top=$PWD

if command -v snapcraft > /dev/null; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    .venv/bin/python -m build --sdist --no-isolation --outdir "$work" . > /dev/null
    tar -xzf "$work"/*.tar.gz -C "$work" --strip-components=1
    cp -r packaging/snap "$work/snap"
    cd "$work"
    snapcraft pack
    mkdir -p "$top/dist"
    cp ./*.snap "$top/dist"
    exit
fi

echo "snap: there is no snapcraft here, so nothing is built"
if [ ! -x .venv-snap/bin/python ]; then
    .venv/bin/python -m venv .venv-snap
    .venv-snap/bin/python -m pip install --quiet --disable-pip-version-check craft-application
fi
.venv-snap/bin/python packaging/snap/check.py packaging/snap/snapcraft.yaml
