"""psycopg 3 and asyncpg at pgbun's console; see console.test.ts. psycopg is not in autocommit mode: it sends BEGIN."""

import asyncio
import json
import sys

import asyncpg
import psycopg

COUNT = "SHOW STATS (total_query_count) WHERE database = 'pgbouncer'"
STATE = "SHOW STATE (value) WHERE key = 'paused'"


def with_psycopg(url, binary):
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as connection:
        cursor = connection.cursor(binary=binary)
        columns = len(cursor.execute("SHOW POOLS").description)
        for _ in range(8):
            rows = "SELECT id, user FROM clients WHERE user = $1 AND id > $2 ORDER BY id LIMIT $3"
            user = cursor.execute(rows, ["postgres", 0, 1]).fetchone()[1]
        counts = cursor.execute(COUNT).fetchone()[0] > 0
        try:
            cursor.execute("SELECT nonsense")
        except psycopg.Error as error:
            sqlstate = error.sqlstate
        connection.rollback()
        cursor.execute("PAUSE")
        paused = cursor.execute(STATE).fetchone()[0]
        cursor.execute("RESUME")
        return {"columns": columns, "user": user, "counts": counts, "error": sqlstate, "paused": paused}


async def with_asyncpg(url):
    connection = await asyncpg.connect(url)
    columns = len((await connection.fetch("SHOW POOLS"))[0])
    for _ in range(8):
        rows = "SELECT id, user FROM clients WHERE user = $1 AND id > $2 ORDER BY id LIMIT $3"
        user = (await connection.fetchrow(rows, "postgres", 0, 1))["user"]
    counts = await connection.fetchval(COUNT) > 0
    try:
        await connection.fetch("SELECT nonsense")
    except asyncpg.PostgresError as error:
        sqlstate = error.sqlstate
    await connection.execute("PAUSE")
    paused = await connection.fetchval(STATE)
    await connection.execute("RESUME")
    await connection.close()
    return {"columns": columns, "user": user, "counts": counts, "error": sqlstate, "paused": paused}


URL = json.loads(sys.argv[1])["target"]["url"]
found = {
    "psycopg 3": with_psycopg(URL, False),
    "psycopg 3, binary": with_psycopg(URL, True),
    "asyncpg": asyncio.run(with_asyncpg(URL)),
}
print(json.dumps(found))
