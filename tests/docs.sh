#!/usr/bin/env bash
# Checks the documents: the list of routes, links and anchors, that every command they name exists, and that every block of shell commands works, run
# against a node in front of the provider double. A block that needs something else says what in a comment before it:
#
#   <!-- needs: a Kubernetes cluster -->
#
#   tests/docs.sh PROGRAMS-DIR [DOCUMENT…]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=$(realpath -- "${1:?usage: $0 PROGRAMS-DIR [DOCUMENT…]}")
shift
# shellcheck source=tests/pair.sh
source "$here/pair.sh"

unit=$here/../docs/systemd/gpt-load.service
if command -v systemd-analyze >/dev/null; then
    sed "s#^ExecStart=.*#ExecStart=$programs/gpt-load#" "$unit" >"$WORK/gpt-load.service"
    systemd-analyze verify "$WORK/gpt-load.service"
    echo "docs: the unit is one"
else
    echo "docs: the unit was not checked, systemd-analyze is not installed"
fi

python3 "$here/docs/routes.py" --check
start_double "$programs"
python3 "$here/docs/check.py" "$programs" "$DOUBLE_URL" "$WORK" "$@"
