#!/bin/sh
# Runs the official SDKs against a node (or, with SDK_TARGET=direct, against the provider double itself).
#
#   tests/sdk/run.sh VENV-DIR [pytest arguments]
#
# GPT_LOAD_URL        where it listens, such as http://127.0.0.1:3001
# GPT_LOAD_PROXY_KEY  a proxy key of the node; for the double any key
# SDK_TARGET          node (default) or direct
#
# A node needs the groups openai (also the DEFAULT_GROUP), openai-response, anthropic and gemini before one
# provider-double, each with 100 keys or more: a provoked 429 makes the keys it was tried with rest.
set -eu

if [ $# -lt 1 ]; then
    echo "usage: $0 VENV-DIR [pytest arguments]" >&2
    exit 2
fi
venv=$1
shift
here=$(cd "$(dirname "$0")" && pwd)

if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider "$here" "$@"
