#!/bin/sh
# Rebuilds the bundled modules.
#
#   modules/build.sh           writes modules/dist/*.wasm and modules/dist/modules.lock
#   modules/build.sh --check   writes nothing there: compares dist and sources with modules.lock, then rebuilds and compares bytes if
#                              the toolchain is the one modules.lock names
#
# Needs rustup's wasm32-wasip1 target, or Debian's rustc-web cargo-web rust-web-src lld wasi-libc. Same sources, same toolchain:
# same bytes, wherever the checkout stands. CARGO_TARGET_WASM names the target folder (default: target/wasm in the checkout).
set -eu

modules="gateway-check noop primes"
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(dirname "$here")
lock="$here/dist/modules.lock"
target_dir=${CARGO_TARGET_WASM:-"$root/target/wasm"}
cargo_home=${CARGO_HOME:-"$HOME/.cargo"}

# The size profile is given here and not in Cargo.toml: there it would be the station's own.
profile="opt-level=s lto=true panic=abort strip=true codegen-units=1"

check=no
case "${1:-}" in
"") ;;
--check) check=yes ;;
*) echo "usage: modules/build.sh [--check]" >&2; exit 2 ;;
esac

rustup_libdir=$(rustc --print target-libdir --target wasm32-wasip1 2>/dev/null || true)
if [ -n "$rustup_libdir" ] && [ -d "$rustup_libdir" ]; then
    rustc=$(rustc --print sysroot)/bin/rustc
    cargo=cargo
    toolchain="rustup, $($rustc -V)"
    link=""
    std=""
elif [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -f /usr/lib/wasm32-wasi/crt1-command.o ] && command -v wasm-ld >/dev/null; then
    rustc=/usr/bin/rustc
    cargo=/usr/bin/cargo
    toolchain="Debian, $($rustc -V), $(wasm-ld --version), wasi-libc $(dpkg-query -W -f '${Version}' wasi-libc)"
    # Debian ships no precompiled std for the target: it is built from rust-web-src, with the wasi-libc package underneath.
    link="-Clinker=wasm-ld -Clink-self-contained=no -L/usr/lib/wasm32-wasi -Clink-arg=/usr/lib/wasm32-wasi/crt1-command.o"
    std="-Zbuild-std=std,panic_abort"
    export RUSTC_BOOTSTRAP=1
else
    toolchain=""
fi

if [ -z "$toolchain" ] && [ "$check" = no ]; then
    echo "no wasm toolchain: rustup target add wasm32-wasip1, or apt-get install rustc-web cargo-web rust-web-src lld wasi-libc" >&2
    exit 3
fi

if [ -n "$toolchain" ]; then
    # Paths in panic messages are the only thing a checkout's place could change.
    sysroot=$($rustc --print sysroot)
    remap="--remap-path-prefix=$root=/station --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$sysroot=/rust"
    flags="--release --target wasm32-wasip1 $std $profile $link"
fi

build() {
    config=""
    for setting in $profile; do
        value=${setting#*=}
        case "$value" in s | abort) value="\"$value\"" ;; esac
        config="$config --config profile.release.${setting%%=*}=$value"
    done
    packages=""
    for module in $modules; do packages="$packages -p station-$module"; done
    # Unquoted on purpose: each is a list of words.
    # shellcheck disable=SC2086
    (cd "$root" && RUSTC="$rustc" RUSTFLAGS="$link $remap" CARGO_TARGET_DIR="$target_dir" CARGO_INCREMENTAL=0 \
        "$cargo" build --locked --release --target wasm32-wasip1 $std $config $packages)
}

# What a module is made of: its own files and, if it names it, the SDK's, without tests; in the order of their names.
source_hash() {
    sdk=""
    if grep -q '^station-sdk' "$root/modules/$1/Cargo.toml"; then sdk="modules/sdk/Cargo.toml modules/sdk/src"; fi
    # shellcheck disable=SC2086
    (cd "$root" && find "modules/$1/Cargo.toml" "modules/$1/src" $sdk -type f ! -name 'tests.rs' ! -path '*/replay/*' |
        LC_ALL=C sort | while read -r file; do sha256sum "$file"; done | sha256sum | cut -d' ' -f1)
}

# CIDv1, raw, sha2-256: multibase "b" of 01 55 12 20 and the digest.
cid() {
    digest=$(sha256sum "$1" | cut -d' ' -f1)
    printf 'b%s' "$(printf '%s' "01551220$digest" | sed 's/../\\x&/g' | xargs -0 printf '%b' | base32 -w0 | tr -d '=' | tr 'A-Z' 'a-z')"
}

built() { printf '%s/wasm32-wasip1/release/station-%s.wasm' "$target_dir" "$1"; }

lock_rows() {
    for module in $modules; do
        file="$here/dist/$module.wasm"
        printf '\n[[module]]\nname   = "%s"\ncid    = "%s"\nbytes  = %s\nsource = "sha256:%s"\n' \
            "$module" "$(cid "$file")" "$(wc -c <"$file" | tr -d ' ')" "$(source_hash "$module")"
    done
}

write_lock() {
    echo "# Written by modules/build.sh. Do not edit."
    echo "toolchain = \"$toolchain\""
    # shellcheck disable=SC2086
    echo "flags     = \"$(echo $flags)\""
    lock_rows
}

if [ "$check" = no ]; then
    build
    mkdir -p "$here/dist"
    for module in $modules; do install -m 644 "$(built "$module")" "$here/dist/$module.wasm"; done
    write_lock >"$lock.new"
    mv "$lock.new" "$lock"
    cat "$lock"
    exit 0
fi

if [ "$(sed '1,/^flags/d' "$lock")" != "$(lock_rows)" ]; then
    echo "modules.lock does not describe modules/dist and the sources: run modules/build.sh and commit modules/dist" >&2
    exit 1
fi
echo "modules.lock describes modules/dist and the sources"
if [ -z "$toolchain" ]; then
    echo "not rebuilt and not compared: no wasm toolchain here"
    exit 0
fi
build
if ! grep -qxF "toolchain = \"$toolchain\"" "$lock"; then
    echo "not compared: toolchain differs (here: $toolchain)"
    exit 0
fi
status=0
for module in $modules; do
    if cmp -s "$(built "$module")" "$here/dist/$module.wasm"; then
        echo "same: $module"
    else
        echo "DIFFERENT: $module (run modules/build.sh and commit modules/dist)" >&2
        status=1
    fi
done
exit $status
