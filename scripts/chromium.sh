#!/usr/bin/env bash
# A Chromium for the tests of the console: says where it is, or installs Debian's package when run as root.
set -euo pipefail

for name in chromium chromium-browser google-chrome-stable google-chrome; do
    if found=$(command -v "$name"); then
        echo "$found"
        exit 0
    fi
done
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "no Chromium here; install one (on Debian, as root: apt-get install -y --no-install-recommends chromium fonts-noto-core)" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >&2
apt-get install -y -q --no-install-recommends chromium fonts-noto-core >&2
command -v chromium
