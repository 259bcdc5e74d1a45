#!/usr/bin/env bash
# The Docker environment and the images, started, used as the README says and removed: what people would type, typed.
# Needs a Docker engine, Compose 2 or docker-compose 1.29, and npm ci. Exit code 1 where anything is not as it should be.
set -uo pipefail
cd "$(dirname "$0")"
export COMPOSE_PROJECT_NAME=pgbun-check PGBUN_PORT=${PGBUN_PORT:-16432} DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0}
export PROMETHEUS_PORT=${PROMETHEUS_PORT:-19090} GRAFANA_PORT=${GRAFANA_PORT:-13000}
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
work=$(mktemp -d)
passed=0 failed=0
containers=()

clean_up() {
  [ ${#containers[@]} -eq 0 ] || docker rm -f "${containers[@]}" >/dev/null 2>&1
  COMPOSE_PROFILES=metrics "${compose[@]}" down -v --remove-orphans >/dev/null 2>&1
  rm -rf "$work"
}
trap clean_up EXIT

# check WHAT COMMAND...: runs it; its output is shown where it fails.
check() {
  local what=$1 start=$SECONDS
  shift
  if "$@" >"$work/log" 2>&1; then
    passed=$((passed + 1))
    echo "ok - $what ($((SECONDS - start)) s)"
  else
    failed=$((failed + 1))
    echo "not ok - $what"
    tail -n 30 "$work/log" | sed 's/^/    /'
    return 1
  fi
}

fails_with() {
  local code=$1 words=$2 status
  shift 2
  "$@" >"$work/out" 2>&1
  status=$?
  cat "$work/out"
  [ "$status" = "$code" ] && grep -q -- "$words" "$work/out"
}

# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "in vain: $*"; return 1; }
    sleep 0.2
  done
}

starts() { "${compose[@]}" logs pgbun | grep -c ' is ready: '; }
started_again() { [ "$(starts)" -gt "$1" ]; }
healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$1")" = healthy ]; }
pgbun_container() { "${compose[@]}" ps -q pgbun; }

# query URL: through pg, without TLS unless the URL says so.
query() {
  (cd .. && node --input-type=module -e '
    import pg from "pg"
    const client = new pg.Client({ connectionString: process.argv[1] })
    await client.connect()
    const { rows } = await client.query("SELECT text FROM greeting")
    await client.end()
    if (rows.length !== 1) throw new Error(`${rows.length} rows`)' "$1")
}

# says URL WORDS: what a URL answers has them.
says() { curl -fsS "$1" | grep -q -- "$2"; }
# can_have IMAGE: it is here, or a registry has it.
can_have() { docker image inspect "$1" >/dev/null 2>&1 || docker pull -q "$1" >/dev/null 2>&1; }
# image_of NAME: what Compose calls it.
image_of() { "${compose[@]}" --profile metrics config | sed -n "s/^ *image: *//p" | tr -d '"' | grep "$1"; }

# drains_visibly URL CONTAINER: SIGTERM while a transaction is open, then the health check; and it is started again.
drains_visibly() {
  local status=1 client
  (cd .. && exec node --input-type=module -e '
    import pg from "pg"
    const client = new pg.Client({ connectionString: process.argv[1] })
    client.on("error", () => process.exit())
    await client.connect()
    await client.query("BEGIN")
    console.log("open")
    process.stdin.resume()
    setTimeout(() => process.exit(1), 60_000)' "$1") >"$work/client" &
  client=$!
  until_true 20 grep -q open "$work/client" && docker kill -s TERM "$2" &&
    until_true 20 fails_with 1 'is not ready: a shutdown has begun' docker exec "$2" "${health[@]}" && status=0
  kill $client
  wait $client 2>/dev/null
  docker wait "$2" && docker start "$2" && until_true 60 healthy "$2" && return $status
}

run() { "${compose[@]}" run --rm -T test-runner "$@"; }
url=postgres://pgbun_user:pgbun_pass@localhost:$PGBUN_PORT/pgbun_test

check 'up -d --build' "${compose[@]}" up -d --build || exit 1
check 'pgbun is healthy' until_true 60 healthy "$(pgbun_container)"
check 'pg from the host, without TLS' query "$url"
check 'pg from the host, with TLS' query "$url?sslmode=no-verify"
if command -v psql >/dev/null; then
  check 'psql from the host, with its defaults' \
    env PGPASSWORD=pgbun_pass psql -h localhost -p "$PGBUN_PORT" -U pgbun_user -d pgbun_test -c 'TABLE greeting'
fi
check 'a wrong password is refused' fails_with 1 'password authentication failed' query "${url/pgbun_pass/wrong}"

check 'load-test' run load-test --mode=transaction --concurrency=100 --duration=3s --scenario=load
for scenario in boundary idle rollback; do
  check "transaction-test, $scenario" run transaction-test --mode=transaction --concurrency=20 --duration=3s --scenario=$scenario
done
check 'load-test.js is load-test' run load-test.js --concurrency=5 --duration=1s
check 'an unknown scenario' fails_with 2 scenario run load-test --scenario=nonsense
check 'a duration that is none' fails_with 2 duration run load-test --duration=abc
check 'a wrong password fails the test' fails_with 1 'password authentication failed' \
  "${compose[@]}" run --rm -T -e PGPASSWORD=wrong test-runner load-test --duration=1s

before=$(starts)
touch ../lib/cli/ready-line.ts
check 'a change in lib/ restarts pgbun' until_true 20 started_again "$before"
check 'and it serves' until_true 20 query "$url"

for mode in statement session; do
  export POOL_MODE=$mode
  check "up -d in pool mode $mode" "${compose[@]}" up -d
  check 'pgbun is healthy' until_true 60 healthy "$(pgbun_container)"
  check "load-test in pool mode $mode" run load-test --mode=$mode --concurrency=20 --duration=2s
done
export POOL_MODE=statement
check 'up -d in pool mode statement' "${compose[@]}" up -d
check 'pgbun is healthy' until_true 60 healthy "$(pgbun_container)"
check 'transaction-test, statement' run transaction-test --mode=statement --concurrency=10 --duration=2s --scenario=statement
check 'a port in use is said to be' fails_with 125 "$PGBUN_PORT" \
  docker run --rm -p "127.0.0.1:$PGBUN_PORT:6432" postgres:18 true

check 'the profile metrics is well-formed' "${compose[@]}" --profile metrics config -q
if can_have "$(image_of prom/prometheus)"; then
  check 'up -d prometheus' "${compose[@]}" --profile metrics up -d prometheus
  check 'Prometheus scrapes pgbun' until_true 60 says "http://localhost:$PROMETHEUS_PORT/api/v1/query?query=up" '"pgbun:6433","job":"pgbun"},"value":\[[0-9.]*,"1"'
  check 'and has the alerts' says "http://localhost:$PROMETHEUS_PORT/api/v1/rules" PgbunPoolSaturated
  check 'pgbun is started again' "${compose[@]}" restart pgbun
  check 'and scraped again' until_true 60 says "http://localhost:$PROMETHEUS_PORT/api/v1/query?query=resets(process_cpu_seconds_total%5B10m%5D)" '"1"'
  if can_have "$(image_of grafana/grafana)"; then
    check 'up -d with the profile metrics' "${compose[@]}" --profile metrics up -d
    check 'Grafana has the dashboard' until_true 120 says "http://localhost:$GRAFANA_PORT/api/dashboards/uid/pgbun" '"title":"pgbun"'
    check 'and reaches Prometheus' until_true 60 says \
      "http://admin:${GRAFANA_PASSWORD:-pgbun}@localhost:$GRAFANA_PORT/api/datasources/proxy/uid/prometheus/api/v1/query?query=pgbouncer_up" '"1"'
  else
    echo '# skipped: no registry has the image of Grafana'
  fi
else
  echo '# skipped: no registry has the images of Prometheus and Grafana'
fi

check 'the image for Node is built' docker build -q -f Dockerfile -t pgbun-check:node ..
check 'the image of the compiled program is built' docker build -q -f Dockerfile.binary -t pgbun-check:binary ..
port=$PGBUN_PORT
for image in node binary; do
  # One that stays the same when it is started again.
  port=$((port + 1))
  name=pgbun-check-$image
  containers+=("$name")
  check "$image: it starts, read-only and without rights" docker run -d --name "$name" --read-only --cap-drop ALL \
    --security-opt no-new-privileges --network "${COMPOSE_PROJECT_NAME}_default" -p "127.0.0.1:$port:6432" \
    -e PGBUN_SERVER_HOST=postgres -e PGBUN_POOL_MODE=transaction "pgbun-check:$image" || continue
  check "$image: healthy" until_true 60 healthy "$name"
  case $image in node) health=(node /app/bin/pgbun.js health) ;; binary) health=(/pgbun health) ;; esac
  check "$image: /readyz says so" fails_with 0 'is ready' docker exec "$name" "${health[@]}"
  check "$image: without HTTP it is enough that it listens" fails_with 0 'pgbun listens at' \
    docker exec -e PGBUN_HTTP_LISTEN= "$name" "${health[@]}"
  target=postgres://pgbun_user:pgbun_pass@localhost:$port/pgbun_test
  check "$image: serves over TLS with a password that PostgreSQL proves" query "$target?sslmode=no-verify"
  check "$image: and not without" fails_with 1 'only accepted over TLS' query "$target"
  check "$image: stopped under load it loses no transaction" node stop-under-load.mjs "$target?sslmode=no-verify" "$name"
  check "$image: while it drains, its health check says why not" drains_visibly "$target?sslmode=no-verify" "$name"
  check "$image: an unknown option is a mistake with a remedy" fails_with 2 'pool-size' \
    docker run --rm "pgbun-check:$image" --pool-sise 1
  check "$image: docker stop" docker stop -t 35 "$name"
  check "$image: it drained" fails_with 0 ' stopped' docker logs "$name"
  check "$image: exit code 0" test "$(docker inspect -f '{{.State.ExitCode}}' "$name")" = 0
done
check 'down -v' "${compose[@]}" --profile metrics down -v
check 'nothing is left' test -z "$(docker volume ls -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")"

# The published schemas, where there is what reads them: pip install kubernetes-validate, and Helm.
if command -v kubernetes-validate >/dev/null; then
  check 'the manifests fit the schemas of Kubernetes' kubernetes-validate --strict -k 1.32 kubernetes/pgbun.yaml
  if command -v helm >/dev/null; then
    check 'the chart is well-formed' helm lint helm/pgbun
    helm template check helm/pgbun --kube-version 1.32.0 --set tls.secretName=a,users.secretName=b >"$work/chart.yaml"
    check 'and fits them, too' kubernetes-validate --strict -k 1.32 "$work/chart.yaml"
  fi
else
  echo '# skipped: the schemas of Kubernetes'
fi
if command -v systemd-analyze >/dev/null; then
  check 'the units are well-formed' systemd-analyze verify systemd/pgbun.service systemd/pgbun.socket
fi

docker images --format '# {{.Repository}}:{{.Tag}} {{.Size}}' pgbun-check
echo "# { total: $((passed + failed)), pass: $passed, fail: $failed }"
[ "$failed" -eq 0 ]
