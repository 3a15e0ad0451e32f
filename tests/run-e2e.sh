#!/usr/bin/env bash
# Runs the tests of the web UI: the system's Chromium, a node and the provider double.
#
#   tests/run-e2e.sh PROGRAMS-DIR [arguments of playwright test]
#
# Screenshots, the report and the traces of what failed are in e2e/ beside PROGRAMS-DIR. CHROMIUM names another browser.
# Needs what `make web` installs, Node.js and its packages; Chromium is installed when it is missing and that is allowed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=$(cd "${1:?usage: $0 PROGRAMS-DIR [arguments of playwright test]}" && pwd)
shift
# shellcheck source=tests/pair.sh
source "$here/pair.sh"

find_chromium() {
    local name
    for name in chromium chromium-browser google-chrome-stable google-chrome \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        command -v "$name" && return
    done
    return 1
}

install_chromium() {
    ((EUID == 0)) && command -v apt-get >/dev/null || return 1
    echo "run-e2e.sh: installing chromium" >&2
    local install=(apt-get install -y --no-install-recommends chromium)
    export DEBIAN_FRONTEND=noninteractive
    "${install[@]}" </dev/null >"$WORK/apt" 2>&1 ||
        { apt-get update && "${install[@]}"; } </dev/null >"$WORK/apt" 2>&1 ||
        { tail -n 5 "$WORK/apt" >&2 && return 1; }
}

if [[ ! -x $here/../web/node_modules/.bin/playwright ]]; then
    echo "run-e2e.sh: the packages of web/ are missing; 'make web' installs them (needs Node.js 20 or newer, https://nodejs.org)" >&2
    exit 1
fi
if [[ -z ${CHROMIUM:-} ]]; then
    CHROMIUM=$(find_chromium) || { install_chromium && CHROMIUM=$(find_chromium); } || {
        echo "run-e2e.sh: there is no Chromium; on Debian: apt-get install chromium, else set CHROMIUM to the program" >&2
        exit 1
    }
fi

start_double "$programs"
start_node "$programs"

results=$(dirname "$programs")/e2e
rm -rf "$results"
mkdir -p "$results"
status=0
(
    cd "$here/../web"
    export CHROMIUM DOUBLE_URL NODE_URL E2E_RESULTS=$results PROGRAMS=$programs KEY_FILE=$WORK/data/auth_key
    exec node_modules/.bin/playwright test "$@"
) || status=$?
if ((status != 0)); then
    echo "run-e2e.sh: it failed; report, traces and screenshots are in $results. The node said last:" >&2
    tail -n 10 "$WORK/node.log" >&2
fi
no_secret_printed || status=1
exit "$status"
