#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# soak.sh [SECONDS]: builds tests/soak with the shared library and runs it for this time (300);
# `make soak MINUTES=` calls it. Pools, short-lived keys and threads, forks and plug-in reloads run at the same
# time. At the end nothing may be left, and nothing may have grown; otherwise the status is 1.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${1:-300}
out=$TARGET/soak
flags=(-std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -Iinclude)

build_library
mkdir -p "$out"
cp "$TARGET/release/libthreadlocalmap.so" "$out/libthreadlocalmap.so.0"
ln -sf libthreadlocalmap.so.0 "$out/libthreadlocalmap.so"
# shellcheck disable=SC2016
link=(-L"$out" -lthreadlocalmap -pthread -ldl '-Wl,-rpath,$ORIGIN')

"$CC" "${flags[@]}" -fPIC -shared tests/soak/plugin.c -o "$out/plugin.so" "${link[@]}"
sources=()
for source in tests/soak/*.c; do
  [ "$source" = tests/soak/plugin.c ] || sources+=("$source")
done
"$CC" "${flags[@]}" "${sources[@]}" examples/pool/pool.c -o "$out/soak" "${link[@]}"

say "running for $seconds s; the samples are in $out/soak.csv"
status=0
timeout --foreground $((seconds + 120)) \
  "$out/soak" --seconds "$seconds" --plugin "$out/plugin.so" --csv "$out/soak.csv" || status=$?
case $status in
0 | 1) ;;
124) printf '%ssoak: FAILED: it did not end within two minutes after its time limit: one of its threads hangs%s\n' "$RED" "$PLAIN" >&2 ;;
2) fail 'the soak test could not start' ;;
*) printf '%ssoak: FAILED: it crashed with status %s; to find the place: gdb --args %s --seconds %s --plugin %s%s\n' \
  "$RED" "$status" "$out/soak" "$seconds" "$out/plugin.so" "$PLAIN" >&2 ;;
esac
plot=$TARGET/plot/release/plot
if [ -x "$plot" ] && [ -s "$out/soak.csv" ] && "$plot" --soak "$out/soak.csv" --svg "$out/soak.svg"; then
  say "chart of RSS and live values: $out/soak.svg"
fi
exit $status
