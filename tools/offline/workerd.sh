#!/bin/sh
# Stands in for workerd (MINIFLARE_WORKERD_PATH): the real one, told where the Python runtime lies.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
command=$1
shift
exec "$root"/node_modules/@cloudflare/workerd-*/bin/workerd "$command" \
  "--pyodide-bundle-disk-cache-dir=$root/.cache/bundle" "$@"
