#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# mutations.sh [PATCH...]: tests that the hunter (fuzz/hunter) finds known faults.
#
# Each fuzz/mutations/*.patch puts a fault into the library. The patch is applied to a copy of the tree, and the
# hunter is built with it. It must find a failure within MUTATION_SECONDS (600). Then it searches the unchanged
# tree for as long as all patches took together, at least a minute, and must find none. HUNTER_FLAGS: more flags
# for the hunter.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

seconds=${MUTATION_SECONDS:-600}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "MUTATION_SECONDS=$seconds is not a number of seconds"
mkdir -p "$TARGET/mutations"
work=$(cd "$TARGET/mutations" && pwd)
tree=$work/tree
patches=("$@")
if [ ${#patches[@]} -eq 0 ]; then
  shopt -s nullglob
  patches=(fuzz/mutations/*.patch)
  shopt -u nullglob
fi

# copy: copies the tree, with changes that are not committed. Files that are the same keep their times, so that
# cargo builds only what has changed.
copy() {
  mkdir -p "$tree"
  rm -rf "$work/fresh"
  mkdir "$work/fresh"
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
  done | tar --null --files-from=- -cf - | tar -xf - -C "$work/fresh"
  # Of the patch before.
  rm -rf "$tree"
  mv "$work/fresh" "$tree"
}

build() {
  "$CARGO" build --locked --quiet --release --manifest-path "$tree/fuzz/hunter/Cargo.toml" --target-dir "$work/build"
}

# hunt SECONDS: status 0 if it finds no failure, 1 if it finds one. Inputs that need many threads at the same time
# run first; then it runs programs with threads in turns and at the same time.
hunt() {
  local status=0
  # shellcheck disable=SC2086
  "$work/build/release/hunter" replay --mode many --lasts 4 ${HUNTER_FLAGS:-} \
    fuzz/corpus/hunter/init-sets-* >"$work/log" 2>&1 || return 1
  # shellcheck disable=SC2086
  "$work/build/release/hunter" search --seconds "$1" --corpus fuzz/corpus/hunter --found "$work/found" \
    ${HUNTER_FLAGS:-} >"$work/log" 2>&1 || status=$?
  [ "$status" -le 1 ] || { tail -n 20 "$work/log"; fail "the hunter ended with status $status"; }
  return "$status"
}

table=''
missed=0
searched=0
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  headline "Mutation $name"
  copy
  # In a folder below another repository, git apply would use the root of that repository.
  GIT_CEILING_DIRECTORIES=$work git -C "$tree" apply --verbose "$(realpath "$patch")" 2>/dev/null ||
    fail "$patch does not apply: write it again"
  # The patched files must be newer than what was built.
  find "$tree/src" -name '*.rs' -exec touch {} +
  build
  from=$SECONDS
  if hunt "$seconds"; then
    missed=$((missed + 1))
    result="NOT FOUND in $seconds s"
  else
    result="$((SECONDS - from)) s   $(grep -m 1 '^hunter: ' "$work/log" | cut -c 9-120)"
  fi
  searched=$((searched + SECONDS - from))
  say "$result"
  table+=$(printf '%-34s %s' "$name" "$result")$'\n'
done

least=60
[ "${#patches[@]}" -gt 0 ] || say 'there is no fuzz/mutations/*.patch'
headline 'The unchanged tree'
copy
find "$tree/src" -name '*.rs' -exec touch {} +
build
if [ "$searched" -lt $least ]; then searched=$least; fi
if hunt "$searched"; then say "no failure found in $searched s"; else
  tail -n 60 "$work/log"
  fail 'the hunter has found a failure in the unchanged tree'
fi
printf '\n%s%s%s' "$BOLD" "$table" "$PLAIN"
[ "$missed" -eq 0 ] || fail "$missed of ${#patches[@]} mutations were not found"
