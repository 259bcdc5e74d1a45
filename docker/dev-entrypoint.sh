#!/bin/bash
# Writes the list of users of the development environment, and keeps a copy of the log for the test runner.
set -euo pipefail

quoted() { printf '"%s"' "${1//\"/\"\"}"; }
if [ -n "${CLIENT_USER:-}" ]; then
  (umask 077 && printf '%s %s\n' "$(quoted "$CLIENT_USER")" "$(quoted "${CLIENT_PASSWORD:-}")" >"$PGBUN_AUTH_FILE")
fi

exec > >(exec tee /var/log/pgbun/pgbun.log) 2>&1
exec "$@"
