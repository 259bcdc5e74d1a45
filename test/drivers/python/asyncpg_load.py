"""asyncpg with its own pool. It names every statement, and keeps what it was told of its columns and parameters."""

import asyncio
import contextlib
import io

import asyncpg

import scenario


class Asyncpg(scenario.Driver):
    async def open(self, target, size):
        self.pool = await asyncpg.create_pool(target["url"], min_size=size, max_size=size)

    async def close(self):
        await self.pool.close()

    @staticmethod
    def query_on(connection):
        async def query(text, *values):
            return [dict(row) for row in await connection.fetch(text, *values)]

        return query

    @contextlib.asynccontextmanager
    async def session(self):
        async with self.pool.acquire() as connection:
            yield self.query_on(connection)

    @contextlib.asynccontextmanager
    async def transaction(self):
        async with self.pool.acquire() as connection:
            async with connection.transaction():
                yield self.query_on(connection)

    async def stream(self, work):
        tag = work.tag()
        async with self.pool.acquire() as connection:
            seen = 0
            async with connection.transaction():
                text = "select $1::text || '-' || g as tag from generate_series(1, 250) as g"
                async for row in connection.cursor(text, tag, prefetch=40):
                    seen += row["tag"] == f"{tag}-{seen + 1}"
            work.check(250, seen)

    async def copy(self, work):
        tag = work.tag()
        async with self.pool.acquire() as connection:
            await connection.copy_records_to_table("copied", records=[(tag, n) for n in range(200)])
            out = io.BytesIO()
            text = f"select tag, n from copied where tag = '{tag}' order by n"
            await connection.copy_from_query(text, output=out)
            work.check("".join(f"{tag}\t{n}\n" for n in range(200)), out.getvalue().decode())

    async def listen(self, work):
        channel = work.tag()
        heard = asyncio.Queue()

        def hear(_connection, _pid, _channel, payload):
            heard.put_nowait(payload)

        async with self.pool.acquire() as connection:
            await connection.add_listener(channel, hear)
            for _ in range(3):
                tag = work.tag()
                await self.query("select pg_notify($1, $2)", channel, tag)
                work.check(tag, await heard.get())
            await connection.remove_listener(channel, hear)


scenario.main(Asyncpg())
