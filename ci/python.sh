#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The Python module, with each CPython of 3.9 or newer that is installed: `pip install ./bindings/python`
# into a virtual environment below the target folder, its tests, CPython's own of threading.local, mypy.
# PYTHONS='python3.9 /opt/x/bin/python3' names the interpreters; without it, those on PATH and pyenv's are.
# In make check it is the oldest and the newest of them; make check-deep takes all.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

WORK=$(realpath -m "$TARGET/python")
mkdir -p "$WORK"
export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
# The tests must use the installed module.
unset PYTHONPATH PYTHONHOME THREADLOCALMAP_LIBRARY
# The folder in which pip builds must not affect how cargo builds.
CARGO_TARGET_DIR=$(realpath "$TARGET")
export CARGO_TARGET_DIR

# Each once: a line `version path` for each interpreter that runs and is new enough, the oldest first.
find_pythons() {
  local python
  for python in ${PYTHONS:-$(compgen -c python3 | grep -E '^python3(\.[0-9]+t?)?$' | sort -u) /usr/bin/python3 \
    $(have pyenv && compgen -G "$(pyenv root)/versions/*/bin/python3")}; do
    "$python" -I -c 'if True:
      import os, platform, sys
      if sys.version_info >= (3, 9) and platform.python_implementation() == "CPython":
        flavour = getattr(sys, "abiflags", "")
        print(platform.python_version() + flavour, os.path.realpath(sys.executable))' 2>/dev/null || true
  done | sort -u -V
}

# testing_file PYTHON VERSION: the path of CPython's test_threading_local.py, if the interpreter came without
# its tests as Debian's does; its package is then unpacked below the target folder, and apt checks its sum.
testing_file() {
  local python=$1 series found folder
  if "$python" -I -c 'import test.test_threading_local' 2>/dev/null; then return 0; fi
  series=$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  folder=$WORK/testsuite-$2
  found=$folder/usr/lib/python$series/test/test_threading_local.py
  if [ ! -f "$found" ]; then
    have apt-get && have dpkg-deb || return 0
    mkdir -p "$folder"
    (
      cd "$folder"
      apt-get download -qq "libpython$series-testsuite" || { apt-get update -qq && apt-get download -qq "libpython$series-testsuite"; }
      for package in ./*.deb; do dpkg-deb -x "$package" .; done
      rm -f ./*.deb
    ) >"$WORK/log" 2>&1 || return 0
  fi
  if [ -f "$found" ]; then printf '%s\n' "$found"; fi
}

check_python() {
  local version=$1 python=$2 here=$WORK/$1 file
  if [ ! -x "$here/bin/pip" ] && ! "$python" -m venv --clear "$here" >"$WORK/log" 2>&1; then
    skipped "Python $version (no venv: $(tail -n 1 "$WORK/log"))"
    return 0
  fi
  if ! "$here/bin/pip" install -q -r tests/python/requirements.txt >"$WORK/log" 2>&1; then
    tail -n 3 "$WORK/log"
    fail "Python $version: pip can't install the packages of tests/python/requirements.txt"
  fi
  if [ -z "$WHEEL" ]; then
    rm -rf "$WORK/wheel"
    "$here/bin/pip" wheel -q --no-deps -w "$WORK/wheel" ./bindings/python
    WHEEL=$(compgen -G "$WORK/wheel/threadlocalmap-*-py3-none-*.whl") || fail 'pip has not built a wheel for all versions of Python 3'
    "$python" -m zipfile -l "$WHEEL" >"$WORK/log"
    grep -q 'threadlocalmap/libthreadlocalmap.so.0' "$WORK/log" || fail "the library is not in $WHEEL"
    say "$(basename "$WHEEL")"
  fi
  "$here/bin/pip" install -q --no-deps --force-reinstall "$WHEEL"
  file=$(testing_file "$python" "$version")
  (cd tests/python && CPYTHON_TEST_THREADING_LOCAL=$file timeout 600 "$here/bin/python" -m pytest -q -p no:cacheprovider -ra .) ||
    fail "Python $version: a test failed"
  say "Python $version: all tests passed"
  ran=$((ran + 1))
  LAST=$here
}

WHEEL='' LAST='' ran=0
while read -r version python; do
  headline "Python $version"
  check_python "$version" "$python"
done < <(find_pythons | if [ -n "${CHECK_DEEP:-}${PYTHONS:-}" ]; then cat; else sed -n '1p;$p' | uniq; fi)
[ "$ran" -gt 0 ] || { skipped 'the Python module (no CPython of 3.9 or newer with venv)'; exit 0; }

headline 'Python: types, mypy --strict'
"$LAST/bin/mypy" --strict --no-incremental --cache-dir /dev/null --config-file bindings/python/pyproject.toml bindings/python/threadlocalmap
"$LAST/bin/mypy" --strict --no-incremental --cache-dir /dev/null --python-executable "$LAST/bin/python" tests/python/typed/right.py
"$LAST/bin/python" tests/python/typed/check_wrong.py

headline 'Python: the example'
printed=$(timeout 60 "$LAST/bin/python" examples/pools/python_executor.py) || fail 'examples/pools/python_executor.py failed'
[ "$printed" = '1600 words; 0 parsers left, 0 values' ] || fail "examples/pools/python_executor.py printed: $printed"
say "examples/pools/python_executor.py: $printed"
