#!/usr/bin/env bash
# Runs a command and fails when it succeeds but its output holds a secret: every secret that tests use has the word
# "never-printed" in it.
#
#   tests/without-secrets.sh COMMAND…
set -euo pipefail
(($# > 0)) || {
    echo "usage: $0 COMMAND…" >&2
    exit 2
}
marker=never-printed
output=$(mktemp "${TMPDIR:-/tmp}/gpt-load-output.XXXXXX")
trap 'rm -f "$output"' EXIT
# The pipe stays open as long as anything that the command started, so all of its output is seen.
"$@" 2>&1 | tee "$output"
if grep -aq "$marker" "$output"; then
    echo "without-secrets.sh: the output holds a secret; here it is …:" >&2
    grep -a "$marker" "$output" | sed "s/[^ \"']*${marker}[^ \"']*/…/g" | head -n 20 >&2
    exit 1
fi
