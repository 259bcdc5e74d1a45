#!/bin/sh
# load-test and transaction-test by their names; whatever else is said is run as a command.
set -eu
usage() {
  cat <<'TEXT'
docker compose run --rm test-runner load-test --mode=transaction --concurrency=100 --duration=60s --scenario=load
docker compose run --rm test-runner transaction-test --mode=transaction --concurrency=20 --duration=30s --scenario=boundary
Progress goes to standard error, the result as JSON to standard output; the exit code is 0 where nothing went wrong.
TEXT
}
[ $# -gt 0 ] || { usage; exit 0; }
name=${1%.js}
case $name in
  load-test | transaction-test) shift; exec node "/app/test/load/$name.ts" "$@" ;;
  -* | *-test) echo "unknown test '$1': load-test, transaction-test" >&2; exit 2 ;;
  *) exec "$@" ;;
esac
