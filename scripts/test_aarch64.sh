#!/usr/bin/env bash
# Kernels and goldens on an emulated aarch64, by each of its instruction sets. Installs compiler and emulator where it may.
set -euo pipefail

target=aarch64-unknown-linux-gnu
packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)

skip() {
	echo "test-aarch64: skipped, because $1"
	exit 0
}

[ "$(uname -m)" != aarch64 ] || skip "this is one: make test-isa"

if [ ! -d "$(rustc --print target-libdir --target $target)" ]; then
	rustup target add $target || skip "rustup can't add $target"
fi

if ! { command -v aarch64-linux-gnu-gcc && command -v qemu-aarch64; } >/dev/null; then
	as_root=()
	[ "$(id -u)" = 0 ] || as_root=(sudo -n)
	install=("${as_root[@]}" apt-get install --quiet --yes --no-install-recommends "${packages[@]}")
	# The lists of packages may be absent or old.
	"${install[@]}" || { "${as_root[@]}" apt-get update --quiet && "${install[@]}"; } ||
		skip "apt-get can't install ${packages[*]}"
fi

export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_PROFILE_DEV_DEBUG=0
# Of what takes longest to compile little is run here. Without any optimization gemm-f16 would not assemble.
settings=()
for level in candle-core=1 gemm-f16=1 {candle-nn,gemm-common,gemm-c32,gemm-c64,gemm-f32,gemm-f64}=0; do
	settings+=(--config "profile.dev.package.${level%=*}.opt-level=${level#*=}")
done

# A processor and an instruction set of it. Limits are times, which mean nothing here.
for pair in cortex-a53:neon max:neondotprod; do
	processor=${pair%:*} isa=${pair#*:}
	echo "instruction set $isa on $processor"
	export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu $processor -L /usr/aarch64-linux-gnu"
	export CANDLEWICK_ISA=$isa
	cargo test --locked --quiet --target $target "${settings[@]}" --lib kernels -- --skip limits::
	cargo test --locked --quiet --target $target "${settings[@]}" --test golden --test flair_golden
done
