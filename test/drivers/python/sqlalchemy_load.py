"""SQLAlchemy's asynchronous engine on asyncpg, with its own pool. Its ORM writes and reads the rows of the ledger."""

import contextlib
import re

from sqlalchemy import text as text_of
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import scenario


class Base(DeclarativeBase):
    pass


class Entry(Base):
    __tablename__ = "ledger"
    tag: Mapped[str] = mapped_column(primary_key=True)


class SqlAlchemy(scenario.Driver):
    async def open(self, target, size):
        url = target["url"].replace("postgres://", "postgresql+asyncpg://")
        self.engine = create_async_engine(url, pool_size=size, max_overflow=0)
        self.each_by_itself = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def close(self):
        await self.engine.dispose()

    @staticmethod
    def query_on(connection):
        async def query(text, *values):
            named = re.sub(r"\$(\d+)(::\w+)?", lambda found: as_cast(found[1], found[2]), text)
            result = await connection.execute(text_of(named), {f"p{i + 1}": value for i, value in enumerate(values)})
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

        return query

    @contextlib.asynccontextmanager
    async def session(self):
        async with self.each_by_itself.connect() as connection:
            yield self.query_on(connection)

    @contextlib.asynccontextmanager
    async def transaction(self):
        async with AsyncSession(self.engine) as session:
            async with session.begin():
                connection = await session.connection()
                run = self.query_on(connection)

                async def query(text, *values):
                    if text.startswith("insert into ledger"):
                        session.add(Entry(tag=values[0]))
                        await session.flush()
                        return []
                    if text.startswith("select tag from ledger"):
                        session.expire_all()
                        entry = await session.get(Entry, values[0])
                        return [] if entry is None else [{"tag": entry.tag}]
                    return await run(text, *values)

                yield query


def as_cast(number, cast):
    """A `:p1` of SQLAlchemy; it would take the colons of a cast for a parameter of its own."""
    return f"cast(:p{number} as {cast[2:]})" if cast else f":p{number}"


scenario.main(SqlAlchemy())
