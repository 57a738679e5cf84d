# SPDX-License-Identifier: MIT OR Apache-2.0
# costs.awk OPERATIONS COSTS...: the instructions of one operation of each path. OPERATIONS has lines of a path and
# how many operations run_2n() does more than run_n(); COSTS are callgrind's outputs, without numbers for names.
# In these, each function has its calls: the callee, "calls=", and a line with what they cost, callees included.
NR == FNR { operations[$1] = $2; order[++paths] = $1; next }
/^fn=/ { caller = substr($0, 4) }
/^cfn=/ { callee = substr($0, 5) }
/^calls=/ { getline; cost[caller, callee] += $2 }
END {
  for (i = 1; i <= paths; i++) {
    path = order[i]
    if (!(("run_n", path) in cost) || !(("run_2n", path) in cost)) {
      print "costs.awk: callgrind has not seen " path > "/dev/stderr"
      exit 1
    }
    printf "%s\t%.1f\n", path, (cost["run_2n", path] - cost["run_n", path]) / operations[path]
  }
}
