#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# bench.sh [OPTION...]: runs the benchmark with these options, with all peers that are installed, and then
# draws its charts. A run without options writes docs/benchmarks.md and its pictures. QUICK=1: a few rounds
# only, to test that everything works; the page is written below target/bench. `make bench` calls it;
# benches/README.md says how to read the results.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# The headers that build.rs looks for. It looks again when the list of those that are installed changes.
HEADERS='boost/thread/tss.hpp tbb/enumerable_thread_specific.h glib-2.0/glib.h qt6/QtCore/QThreadStorage qt5/QtCore/QThreadStorage'
here=''
for header in $HEADERS; do
  if have_header "$header" || [ -e "/usr/include/$("$CC" -print-multiarch 2>/dev/null)/$header" ]; then here+=" $header"; fi
done
export BENCH_PEERS=$here

out=$TARGET/bench
mkdir -p "$out"
json=$out/bench.json
rm -f "$json" "$out/scale.svg"
options=("$@")
quick=${QUICK:-}
[ "$quick" != 0 ] || quick=''
[ -z "$quick" ] || options+=(--quick)
case " $* " in
*' --json'*) json= ;;
*) options+=(--json "$json") ;;
esac

# Only a run of all rows makes a page.
page=''
if [ $# -eq 0 ]; then
  page=docs/benchmarks.md
  [ -z "$quick" ] || page=$out/benchmarks.md
  options+=(--document "$page" --latency "$out/latency.json")
fi

# OpenJDK's ThreadLocal, in a process of its own, before the others.
java_peer() {
  rm -f "$out/java.txt"
  if ! have javac || ! have java; then
    say "OpenJDK's ThreadLocal is left out, because it is not installed (Debian: apt-get install default-jdk-headless)"
    return
  fi
  say "measuring OpenJDK's ThreadLocal, in a separate process"
  if javac -d "$out/java" benches/java/Peers.java &&
    java -cp "$out/java" Peers ${quick:+--quick} >"$out/java.part"; then
    mv "$out/java.part" "$out/java.txt"
    options+=(--java "$out/java.txt")
  else
    say "OpenJDK's ThreadLocal is left out, because its program failed"
  fi
}
case " $* " in
*' --help'* | *' --list'* | *' --instructions'* | *' --filter'*) ;;
*)
  "$CARGO" build --locked --release --manifest-path benches/Cargo.toml
  java_peer
  ;;
esac

status=0
"$CARGO" run --locked --release --manifest-path benches/Cargo.toml -- "${options[@]}" || status=$?
if [ -n "$json" ] && [ -e "$json" ]; then
  say "all results: $json"
  # Building the chart program takes longer than a quick run.
  if [ -z "$quick" ] || [ -x "$TARGET/plot/release/plot" ]; then
    make --no-print-directory plot
    if grep -q '"line":' "$json"; then
      "$TARGET/plot/release/plot" --scale "$json" --svg "$out/scale.svg"
      say "chart of the cost by the number of threads: $out/scale.svg"
    fi
    if [ -n "$page" ]; then
      "$TARGET/plot/release/plot" --peers "$json" --folder "${page%.md}"
      say "page and pictures: $page, ${page%.md}/"
    fi
  fi
fi
exit $status
