#!/bin/sh
# Make a writable copy of the go.opentelemetry.io/auto module and compile the BPF
# objects that its module zip leaves out but its Go bindings embed.
#
#   build-objects.sh SRC_MODULE_DIR OUT_DIR ARCH      ARCH: amd64 | arm64
#
# Safe to repeat: OUT_DIR is replaced whole. The objects do not depend on where OUT_DIR is.
# CLANG and LLVM_STRIP choose the tools; without them the newest tested pair (14, which upstream's
# image uses) is taken, else any clang that has the bpf target.
# Exit: 0 done, 2 usage, 1 no usable compiler or a failed compilation (its text on stderr).
set -eu

fail() { code=$1; shift; echo "build-objects: $*" >&2; exit "$code"; }

[ $# -eq 3 ] || fail 2 "usage: build-objects.sh SRC_MODULE_DIR OUT_DIR amd64|arm64"
src=$1 out=$2
case $3 in
  amd64) arch=x86 ;;
  arm64) arch=arm64 ;;
  *) fail 2 "architecture '$3' has no objects upstream; use amd64 or arm64" ;;
esac
[ -f "$src/go.mod" ] || fail 2 "$src holds no go.mod: give the directory 'go mod download -json' prints"

has_bpf() { command -v "$1" >/dev/null 2>&1 && "$1" --print-targets 2>/dev/null | grep -q '^ *bpfel '; }
first_of() { for tool in "$@"; do command -v "$tool" >/dev/null 2>&1 && { echo "$tool"; return; }; done; return 1; }

clang=${CLANG:-}
if [ -z "$clang" ]; then
  for candidate in clang-14 clang clang-20 clang-19 clang-18 clang-17 clang-16 clang-15; do
    if has_bpf "$candidate"; then clang=$candidate; break; fi
  done
fi
[ -n "$clang" ] && has_bpf "$clang" || fail 1 "no clang with the bpf target; install the Debian package clang-14"
version=${clang#clang}
strip=${LLVM_STRIP:-$(first_of "llvm-strip$version" llvm-strip-14 llvm-strip)} ||
  fail 1 "no llvm-strip; install the Debian package llvm-14"

rm -rf "$out"
mkdir -p "$out"
cp -R "$src/." "$out"
chmod -R u+w "$out"
root=$(cd "$out" && pwd -P)
cd "$root"

count=0
for binding in $(grep -rl --include="*_${arch}_bpfel.go" 'go:embed' internal/pkg | sort); do
  folder=$(dirname "$binding")
  object=$folder/$(basename "$binding" .go).o
  case $object in
    */bpf_no_tp_*) define=-DNO_HEADER_PROPAGATION ;; # the variant without writes into user memory
    *) define=-UNO_HEADER_PROPAGATION ;;
  esac
  "$clang" -O2 -mcpu=v1 -g -fno-ident -target bpfel "-D__TARGET_ARCH_$arch" "$define" \
    "-ffile-prefix-map=$root=." "-fdebug-compilation-dir=." \
    "-I$root/internal/include/libbpf" "-I$root/internal/include" \
    -c "$root/$folder/bpf/probe.bpf.c" -o "$object"
  "$strip" -g "$object"
  count=$((count + 1))
done
[ "$count" -gt 0 ] || fail 1 "$src has no *_${arch}_bpfel.go bindings: not the module this was written for"
echo "$count objects with $("$clang" --version | head -n 1)"
