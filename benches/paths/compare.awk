# SPDX-License-Identifier: MIT OR Apache-2.0
# compare.awk COMMITTED FOUND: prints the paths whose number of instructions has changed. Its status is 1 if one is
# more than 5 % and more than 2 higher, if one is not in COMMITTED, or if one is only in COMMITTED.
FILENAME == ARGV[1] { if (!/^#/) committed[$1] = $2; next }
{
  found[$1] = 1
  paths++
  if (!($1 in committed)) { differs($1, "is not in the committed file; it has " $2 " instructions"); status = 1; next }
  before = committed[$1]
  percent = before > 0 ? 100 * ($2 - before) / before : 0
  what = sprintf("%s instructions, committed %s: %+.1f %%", $2, before, percent)
  if ($2 > before * 1.05 && $2 > before + 2) { differs($1, what ". TOO MANY"); status = 1 }
  else if ($2 < before * 0.95) { differs($1, what ". Commit the new number"); less++ }
}
function differs(path, what) { printf "   %-54s %s\n", path, what }
END {
  for (path in committed)
    if (!(path in found)) { differs(path, "is in the committed file, but no longer exists"); status = 1 }
  if (!status) printf "   none of the %d paths is more than 5 %% longer than before%s\n", paths, \
    less ? "; to commit the shorter ones: make instructions ACCEPT=1" : ""
  exit status
}
