#!/usr/bin/env bash
# Checks what makes containers, without a container engine: hadolint on the Dockerfile, docker-compose.yml with the loader of
# docker compose, and the entrypoint in a mount namespace. See tests/dockerfile/check.py.
#
#   tests/dockerfile.sh TOOLS-DIR PROGRAM [--build]
#
# --build  also runs every step of the Dockerfile (with the profile dev), each stage in a clean folder over this machine's own
#          system; takes as long as a build
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage="usage: $0 TOOLS-DIR PROGRAM [--build]"
tools=$(realpath -m -- "${1:?$usage}")
program=$(realpath -- "${2:?$usage}")
shift 2
compose_go=v2.16.2

venv=$tools/dockerfile-venv
if ! cmp -s "$here/dockerfile/requirements.txt" "$venv/requirements.txt"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/dockerfile/requirements.txt"
    cp "$here/dockerfile/requirements.txt" "$venv/"
fi
"$venv/bin/hadolint" "$here/../Dockerfile"
echo "dockerfile: hadolint has nothing to say"

loader=$tools/compose-go-$compose_go/cmd
if [[ ! -x $loader ]] && command -v go >/dev/null; then
    GOBIN=$(dirname "$loader") go install "github.com/compose-spec/compose-go/v2/cmd@$compose_go" 2>/dev/null
fi
if [[ -x $loader ]]; then
    "$venv/bin/python" "$here/dockerfile/compose.py" "$loader"
else
    echo "dockerfile: docker-compose.yml not checked, go is not installed"
fi

if [[ $(id -u) != 0 ]] || ! unshare --mount true 2>/dev/null; then
    echo "dockerfile: the entrypoint was not tried, that takes root and a mount namespace"
    exit 0
fi
exec unshare --mount --propagation private "$venv/bin/python" "$here/dockerfile/check.py" "$program" "$@"
