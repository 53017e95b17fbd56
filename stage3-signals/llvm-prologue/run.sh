#!/usr/bin/env bash
# The check of Go's functions, put in by LLVM instead of by `#[gofunc]`. Compiles program.rs into
# target/llvm-prologue, shows the first instructions of `go.fib`, and runs it. The default build
# knows nothing of this. The two flags are stable, what LLVM makes of them is not promised.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=${CARGO_TARGET_DIR:-../../target}/llvm-prologue
mkdir -p "$out"
out=$(cd "$out" && pwd)
if ! command -v objdump >/dev/null || ! command -v ld >/dev/null; then
    echo "skipped: this needs binutils (ld and objdump)"
    exit 0
fi
# One line for each function: its symbol, and the attribute.
echo "go.fib,split-stack=1" >"$out/functions.csv"
# GNU's linker: LLVM's would rewrite the check of a function that calls one without a check.
rustc --edition 2024 -O -C codegen-units=1 program.rs -o "$out/program" \
    -C passes=forceattrs -C llvm-args=-forceattrs-csv-path="$out/functions.csv" \
    -C linker-features=-lld
objdump -d -M intel --no-show-raw-insn "$out/program" | sed -n '/<go\.fib>:/,/^$/p' | head -n 6
exec "$out/program"
