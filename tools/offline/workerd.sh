#!/bin/sh
# Stands in for workerd (MINIFLARE_WORKERD_PATH): the real one, told where the Python runtime lies
# and, if PYTHON_SNAPSHOT names one, from which memory snapshot the Worker starts.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
command=$1
shift
if [ -n "${PYTHON_SNAPSHOT:-}" ]; then
  set -- "--python-snapshot-dir=${PYTHON_SNAPSHOT%/*}" "--python-load-snapshot=${PYTHON_SNAPSHOT##*/}" "$@"
fi
exec "$root"/node_modules/@cloudflare/workerd-*/bin/workerd "$command" \
  "--pyodide-bundle-disk-cache-dir=$root/.cache/bundle" "$@"
