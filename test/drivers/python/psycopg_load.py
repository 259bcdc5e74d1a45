"""psycopg 3 with its own pool. It names a statement when it is run for the sixth time, and has a pipeline mode."""

import contextlib

from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

import scenario


class Psycopg(scenario.Driver):
    async def open(self, target, size):
        self.pool = AsyncConnectionPool(
            target["url"],
            min_size=size,
            max_size=size,
            # It takes `$1` as PostgreSQL does, instead of `%s`.
            kwargs={"autocommit": True, "cursor_factory": AsyncRawCursor, "row_factory": dict_row},
            open=False,
        )
        await self.pool.open(wait=True)

    async def close(self):
        await self.pool.close()

    @staticmethod
    def query_on(connection: AsyncConnection):
        async def query(text, *values):
            cursor = await connection.execute(text, values or None)
            return await cursor.fetchall() if cursor.description else []

        return query

    @contextlib.asynccontextmanager
    async def session(self):
        async with self.pool.connection() as connection:
            yield self.query_on(connection)

    @contextlib.asynccontextmanager
    async def transaction(self):
        async with self.pool.connection() as connection:
            async with connection.transaction():
                yield self.query_on(connection)

    async def pipeline(self, work):
        async with self.pool.connection() as connection:
            async with connection.pipeline():
                asked = []
                for _ in range(30):
                    tag = work.tag()
                    asked.append((tag, await connection.execute("select $1::text as tag", [tag])))
                for tag, cursor in asked:
                    work.check(tag, (await cursor.fetchone())["tag"])

    async def stream(self, work):
        tag = work.tag()
        async with self.pool.connection() as connection:
            seen = 0
            async with connection.transaction():
                async with connection.cursor(name="here") as cursor:
                    cursor.itersize = 40
                    text = f"select '{tag}-' || g as tag from generate_series(1, 250) as g"
                    await cursor.execute(text)
                    async for row in cursor:
                        seen += row["tag"] == f"{tag}-{seen + 1}"
            work.check(250, seen)

    async def copy(self, work):
        tag = work.tag()
        async with self.pool.connection() as connection:
            async with connection.cursor().copy("copy copied (tag, n) from stdin") as copy:
                for n in range(200):
                    await copy.write_row((tag, n))
            rows = []
            text = f"copy (select tag, n from copied where tag = '{tag}' order by n) to stdout"
            async with connection.cursor().copy(text) as copy:
                async for row in copy.rows():
                    rows.append(row)
            work.check([(tag, str(n)) for n in range(200)], rows)

    async def listen(self, work):
        channel = work.tag()
        async with self.pool.connection() as connection:
            await connection.execute(f"listen {channel}")
            for _ in range(3):
                tag = work.tag()
                await self.query("select pg_notify($1, $2)", channel, tag)
                async for message in connection.notifies(stop_after=1):
                    work.check((channel, tag), (message.channel, message.payload))
            await connection.execute(f"unlisten {channel}")


scenario.main(Psycopg())
