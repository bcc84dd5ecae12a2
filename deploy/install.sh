#!/bin/sh
# A wheel and what it needs, into a folder of its own: install.sh FOLDER WHEEL
set -eu
python3 -m venv "$1"
"$1/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check "$2"
cp "$(dirname "$0")/healthy.py" "$1"
