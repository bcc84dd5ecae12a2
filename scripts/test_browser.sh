#!/usr/bin/env bash
# The server's pages in headless Chromium. Installs the browser where it may, and Playwright beside what is built.
set -euo pipefail

packages=target/browser

skip() {
	echo "test-browser: skipped, because $1"
	exit 0
}

node --eval 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || skip "there is no Node.js 20 or later"

if ! command -v chromium >/dev/null; then
	as_root=()
	[ "$(id -u)" = 0 ] || as_root=(sudo -n)
	install=("${as_root[@]}" apt-get install --quiet --yes --no-install-recommends chromium fonts-dejavu-core)
	# The lists of packages may be absent or old.
	"${install[@]}" || { "${as_root[@]}" apt-get update --quiet && "${install[@]}"; } ||
		skip "apt-get can't install chromium"
fi

# Exact versions, and no lock file: that would name a registry.
if [ ! $packages/installed -nt tests/browser/package.json ]; then
	mkdir -p $packages
	cp tests/browser/package.json $packages/
	npm install --prefix $packages --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $packages/installed
fi

CHROMIUM=$(command -v chromium) exec node --test --test-reporter=spec tests/browser/*.test.js
