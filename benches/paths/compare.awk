# SPDX-License-Identifier: MIT OR Apache-2.0
# compare.awk COMMITTED FOUND: says which paths have other instructions than were committed. Its status is 1 if one
# has more than 5 %, and more than 2, above; if one was not committed; or if one that was is not there.
FILENAME == ARGV[1] { if (!/^#/) committed[$1] = $2; next }
{
  found[$1] = 1
  paths++
  if (!($1 in committed)) { differs($1, "is new, with " $2 " instructions"); status = 1; next }
  before = committed[$1]
  percent = before > 0 ? 100 * ($2 - before) / before : 0
  what = sprintf("%s instructions, committed %s: %+.1f %%", $2, before, percent)
  if ($2 > before * 1.05 && $2 > before + 2) { differs($1, what ". TOO MANY"); status = 1 }
  else if ($2 < before * 0.95) { differs($1, what ". Accept it, so that it is kept"); less++ }
}
function differs(path, what) { printf "   %-54s %s\n", path, what }
END {
  for (path in committed)
    if (!(path in found)) { differs(path, "was committed, and is no path any more"); status = 1 }
  if (!status) printf "   none of %d paths is more than 5 %% longer than it was%s\n", paths, \
    less ? "; make instructions ACCEPT=1 keeps what is shorter" : ""
  exit status
}
