# SPDX-License-Identifier: MIT OR Apache-2.0
# costs.awk OPERATIONS COSTS...: prints the instructions of one operation of each path. A line of OPERATIONS has a
# path, and how many more operations run_2n() runs than run_n(). COSTS are outputs of callgrind, with full names.
# In these, each function has its calls: the callee, "calls=", and a line with their cost, including callees.
NR == FNR { operations[$1] = $2; order[++paths] = $1; next }
/^fn=/ { caller = substr($0, 4) }
/^cfn=/ { callee = substr($0, 5) }
/^calls=/ { getline; cost[caller, callee] += $2 }
END {
  for (i = 1; i <= paths; i++) {
    path = order[i]
    if (!(("run_n", path) in cost) || !(("run_2n", path) in cost)) {
      print "costs.awk: the output of callgrind has no calls of " path > "/dev/stderr"
      exit 1
    }
    printf "%s\t%.1f\n", path, (cost["run_2n", path] - cost["run_n", path]) / operations[path]
  }
}
