#!/bin/sh
# Builds the snap where snapcraft is (it needs snapd and LXD, which want systemd). Elsewhere as much as goes without:
# - the recipe is held against craft-application and craft-parts, the libraries of snapcraft that read it: every key that a
#   snap shares with the other crafts, and every key of the part and its plugin;
# - the part is made as snapcraft's python plugin makes it, and a Certbot that has no such plugin of its own finds it
#   where the interface shows it to Certbot's snap (CERTBOT_PLUGIN_PATH), and plays the renewals of `make demo`.
# What then is not tried: the packing, the interface itself, and confinement (Certbot's own, which is classic).
set -eu
cd "$(dirname "$0")/.."
top=$PWD
python=$top/.venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if command -v snapcraft > /dev/null; then
    "$python" -m build --sdist --no-isolation --outdir "$work" . > /dev/null
    tar -xzf "$work"/*.tar.gz -C "$work" --strip-components=1
    cp -r packaging/snap "$work/snap"
    cd "$work"
    snapcraft pack
    mkdir -p "$top/dist"
    cp ./*.snap "$top/dist"
    exit
fi

echo "snap: there is no snapcraft here, so nothing is built"
if [ ! -x .venv-snap/bin/certbot ]; then
    "$python" -m venv .venv-snap
    .venv-snap/bin/python -m pip install --quiet --disable-pip-version-check craft-application certbot
fi
.venv-snap/bin/python packaging/snap/check.py packaging/snap/snapcraft.yaml

echo "== the part"
chmod 755 "$work"
"$python" -m venv "$work/part"
SNAP_BUILD=True "$work/part/bin/python" -m pip install --quiet --disable-pip-version-check .
packages=$(echo "$work"/part/lib/python3.*/site-packages)
"$work/part/bin/python" -m pip list --disable-pip-version-check --path "$packages"
if [ -e "$packages/certbot" ]; then
    echo "snap: Certbot is in the part, and would hide the one of Certbot's snap" >&2
    exit 1
fi

echo "== Certbot with the part"
CERTBOT=$top/.venv-snap/bin/certbot CERTBOT_PLUGIN_PATH=$packages "$python" -m tests.demo
