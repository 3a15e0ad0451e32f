#!/usr/bin/env bash
# Starts a provider double and a node in front of it, and prints what to paste. Ctrl-C ends both and removes their data.
#
#   tests/try.sh PROGRAMS-DIR
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
programs=${1:?usage: $0 PROGRAMS-DIR}
# shellcheck source=tests/pair.sh
source "$here/pair.sh"

start_double "$programs"
printf 'sk-try-%s\n' one two three >"$WORK/keys.txt"
PORT=${PORT:-3001}
if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then
    PORT=$(free_port)
fi
start_node "$programs" OPENAI_BASE_URL="$DOUBLE_URL" KEYS_FILE="$WORK/keys.txt"
cat "$WORK/node.log"
echo "The provider is a double at $DOUBLE_URL; it answers without any real key. Ctrl-C ends both."
tail -n 0 -f "$WORK/node.log" &
PIDS+=($!)
wait "${PIDS[1]}"
