#!/usr/bin/env bash
# Checks the chart with helm itself: lints it, renders every file of helm/gpt-load/tests/values and asks tests/helm/check.py
# about the objects, and sees every file of helm/gpt-load/tests/refused refused with the sentence of its first line.
#
#   tests/helm.sh TOOLS-DIR
#
# HELM  the program; else the one on the PATH, else one that go builds into TOOLS-DIR
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(realpath -m -- "${1:?usage: $0 TOOLS-DIR}")
chart=$(dirname "$here")/helm/gpt-load
version=v3.21.4

helm=${HELM:-$(command -v helm || true)}
if [[ -z $helm ]]; then
    helm=$tools/bin/helm
    if [[ $("$helm" version --template '{{.Version}}' 2>/dev/null) != v3.* ]]; then
        command -v go >/dev/null || {
            echo "helm: neither helm nor go is installed; see https://helm.sh/docs/intro/install/" >&2
            exit 1
        }
        mkdir -p "$tools"
        echo "helm: building helm $version into $tools/bin (some minutes, once)"
        GOBIN=$tools/bin go install -ldflags "-s -w" "helm.sh/helm/v3/cmd/helm@$version" 2>"$tools/helm-build.log" || {
            cat "$tools/helm-build.log" >&2
            exit 1
        }
    fi
fi

venv=$tools/helm-venv
if ! cmp -s "$here/helm/requirements.txt" "$venv/requirements.txt"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/helm/requirements.txt"
    cp "$here/helm/requirements.txt" "$venv/"
fi

exec "$venv/bin/python" "$here/helm/check.py" "$helm" "$chart"
