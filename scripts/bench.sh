#!/usr/bin/env bash
# bench.sh [OPTION...]: the benchmark with these options, then a chart of cost against threads, when
# the rows for it were measured. `make bench` calls it; benches/README.md says how to read the result.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

out=$TARGET/bench
mkdir -p "$out"
json=$out/bench.json
rm -f "$json" "$out/scale.svg"
options=("$@")
case " $* " in
*' --json'*) json= ;;
*) options+=(--json "$json") ;;
esac

status=0
"$CARGO" run --locked --release --manifest-path benches/Cargo.toml -- "${options[@]}" || status=$?
if [ -n "$json" ] && [ -e "$json" ]; then
  say "everything that was found: $json"
  if grep -q '"line":' "$json"; then
    make --no-print-directory plot
    "$TARGET/plot/release/plot" --scale "$json" --svg "$out/scale.svg"
    say "cost against threads, as a chart: $out/scale.svg"
  fi
fi
exit $status
