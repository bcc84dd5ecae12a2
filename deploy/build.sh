#!/bin/sh
# The wheel, into a folder: build.sh FOLDER
set -eu
cd "$(dirname "$0")/.."
make wheel
mkdir -p "$1"
cp target/wheels/*.whl "$1"
