"""The load of the matrix for drivers of Python: what scenario.ts, common-steps.ts and schema-changes.ts are for Node.

A driver says how it opens its own pool, runs a query, keeps a connection and makes a transaction. Every query selects a tag
of its own, and the answer must carry exactly that tag. Texts have `$1`-style parameters, each used once and in order.
"""

import asyncio
import contextlib
import json
import sys

# Longest time one load may take, in seconds. Only a load that hangs gets there.
DEADLINE = 60


class Rollback(Exception):
    """Raised inside of a transaction to have it rolled back."""


class Outcome:
    """What happened; `as_json` is what scenario.ts calls an Outcome."""

    def __init__(self):
        self.steps = []
        self.queries = 0
        self.mix_ups = []
        self.committed = []
        self.increments = 0
        self.changes = []

    def as_json(self):
        return json.dumps(
            {
                "steps": self.steps,
                "queries": self.queries,
                "mixUps": self.mix_ups,
                "committed": self.committed,
                "increments": self.increments,
                "changes": self.changes,
            }
        )


class Work:
    """One worker's view of the load: its tags, and where it reports what came back."""

    def __init__(self, prefix, worker, outcome):
        self.prefix = prefix
        self.worker = worker
        self.outcome = outcome
        self.doing = "nothing yet"
        self.count = 0

    def tag(self):
        self.count += 1
        return f"{self.prefix}_w{self.worker}_{self.count}"

    def check(self, wanted, got):
        self.outcome.queries += 1
        if wanted != got:
            self.outcome.mix_ups.append(f"{self.doing}: wanted {wanted}, got {got}")

    async def fails(self, sqlstate, query):
        self.outcome.queries += 1
        try:
            await query
        except Exception as error:
            if sqlstate_of(error) == sqlstate:
                return
            raise RuntimeError(f"{self.doing}: SQLSTATE {sqlstate} expected, not {error!r}") from error
        self.outcome.mix_ups.append(f"{self.doing}: SQLSTATE {sqlstate} expected, but the query succeeded")


def sqlstate_of(error):
    """The SQLSTATE of an error, or of the driver's own error inside of it; None where there is none."""
    while error is not None:
        state = getattr(error, "sqlstate", None)
        if state is not None:
            return state
        error = getattr(error, "orig", None) or error.__cause__
    return None


class Driver:
    """What a driver's file overrides. `query(text, *values)` brings rows as dictionaries, in the order of the columns."""

    async def open(self, target, size):
        raise NotImplementedError

    async def close(self):
        raise NotImplementedError

    def session(self):
        """A context manager whose value runs queries on one connection, each committed by itself."""
        raise NotImplementedError

    def transaction(self):
        """The driver's own transaction: committed at the end, rolled back where an exception leaves it."""
        raise NotImplementedError

    async def query(self, text, *values):
        async with self.session() as query:
            return await query(text, *values)

    # Steps that only some drivers have.
    pipeline = None
    stream = None
    copy = None
    listen = None


async def queries(driver, work):
    for _ in range(3):
        for n in range(3):
            tag = work.tag()
            rows = await driver.query("select $1::text as tag, $2::int as n", tag, n)
            work.check({"tag": tag, "n": n}, rows[0])
        tag = work.tag()
        work.check(tag, (await driver.query(f"select '{tag}' as tag"))[0]["tag"])
        await work.fails("22012", driver.query("select 1 / $1::int as n", 0))
    tag = work.tag()
    rows = await driver.query("select $1::text || '-' || g as tag from generate_series(1, 300) as g", tag)
    work.check((f"{tag}-1", f"{tag}-300", 300), (rows[0]["tag"], rows[299]["tag"], len(rows)))


async def prepared(driver, work):
    """Often enough on one connection for every driver to have made a named statement of it."""
    async with driver.session() as query:
        for i in range(24):
            tag = work.tag()
            n = i % 3
            rows = await query(f"select $1::text as tag, {n} as n", tag)
            work.check({"tag": tag, "n": n}, rows[0])


async def transactions(driver, work):
    kept = work.tag()
    async with driver.transaction() as query:
        await query("insert into ledger values ($1)", kept)
        work.check(kept, (await query("select tag from ledger where tag = $1", kept))[0]["tag"])
    work.outcome.committed.append(kept)

    undone = work.tag()
    with contextlib.suppress(Rollback):
        async with driver.transaction() as query:
            await query("insert into ledger values ($1)", undone)
            work.check(undone, (await query("select tag from ledger where tag = $1", undone))[0]["tag"])
            raise Rollback
    with contextlib.suppress(Rollback):
        async with driver.transaction() as query:
            await query("insert into ledger values ($1)", undone)
            await work.fails("22012", query("select 1 / $1::int as n", 0))
            await work.fails("25P02", query("insert into ledger values ($1)", undone))
            raise Rollback
    work.check(0, len(await driver.query("select tag from ledger where tag = $1", undone)))


async def settings(driver, work):
    tenant, other = work.tag(), work.tag()
    async with driver.session() as query:

        async def shown(name):
            return (await query(f"select current_setting('{name}') as tag"))[0]["tag"]

        await query("select set_config('app.tenant', $1::text, false) as tag", tenant)
        await query(f"set application_name = '{tenant}'")
        for _ in range(4):
            work.check(tenant, await shown("app.tenant"))
            work.check(tenant, await shown("application_name"))
        await query("begin")
        await query(f"set local app.tenant = '{other}'")
        work.check(other, await shown("app.tenant"))
        await query("commit")
        work.check(tenant, await shown("app.tenant"))
        await query("reset application_name")


async def temporary(driver, work):
    tags = [work.tag() for _ in range(3)]
    async with driver.session() as query:
        # The same name for all: another one's table would bring another one's tags.
        await query("create temporary table scratch (tag text)")
        for tag in tags:
            await query("insert into scratch values ($1)", tag)
        for _ in tags:
            rows = await query("select tag from scratch order by tag")
            work.check(sorted(tags), sorted(row["tag"] for row in rows))
        await query("drop table scratch")


async def locks(driver, work):
    async with driver.session() as query:
        await query("select pg_advisory_lock(7)::text as locked")
        # Read here and written there, so that two at once would lose one of the two.
        value = (await query("select n from counter"))[0]["n"]
        await query("update counter set n = $1::int", value + 1)
        work.outcome.increments += 1
        work.check(True, (await query("select pg_advisory_unlock(7) as unlocked"))[0]["unlocked"])


COMMON = {
    "queries": queries,
    "prepared": prepared,
    "transactions": transactions,
    "settings": settings,
    "temporary": temporary,
    "locks": locks,
}


async def changes(driver, outcome):
    """Two connections run statements they know; a third changes the tables below them. See schema-changes.ts.

    What the two are answered from then on is written down. It must be what a direct connection answers.
    """
    from_table = "select * from changing where id = $1"

    async def note(who, query, text, *values):
        try:
            rows = await query(text, *values)
            # Names and values: mixed up columns would show.
            told = "; ".join(", ".join(f"{name}={value}" for name, value in row.items()) for row in rows)
            outcome.changes.append(f"{who}: {told}")
        except Exception as error:
            state = sqlstate_of(error)
            if state is None:
                raise
            outcome.changes.append(f"{who}: {state}")

    async with contextlib.AsyncExitStack() as stack:
        first, second, blocker, owner = [await stack.enter_async_context(driver.session()) for _ in range(4)]

        async def both(text, *values, times=3):
            for i in range(times):
                # Whoever is in a transaction has one of the two servers, so that the others meet both.
                if i % 2:
                    await blocker("begin")
                    await blocker("select 1 as one")
                await note("first", first, text, *values)
                await note("second", second, text, *values)
                if i % 2:
                    await blocker("commit")

        for change in SCHEMA_CHANGES:
            await owner("drop table if exists changing")
            await owner("create table changing (id int, a text, b text, n int, at timestamp)")
            await owner("insert into changing values (1, 'a', 'b', 7, '2024-01-02 03:04:05')")
            for text, values in change["texts"]:
                await both(text, *values, times=6)
            for ddl in change["ddl"]:
                await owner(ddl)
            outcome.changes.append(change["ddl"][0])
            for text, values in change["texts"]:
                await both(text, *values)
            for row in await owner("select changing::text as row from changing order by 1"):
                outcome.changes.append(row["row"])


BY_ID = ("select * from changing where id = $1", [1])
ADD_N = ("insert into changing (id, n) values (2, $1)", [5])
SCHEMA_CHANGES = [
    {
        "ddl": ["alter table changing drop column b, add column c text default '555'"],
        "texts": [BY_ID],
    },
    {"ddl": ["alter table changing add column d text default 'd'"], "texts": [BY_ID]},
    {"ddl": ["alter table changing alter n type bigint"], "texts": [BY_ID, ("select n from changing where id = $1", [1])]},
    {"ddl": ["alter table changing alter n type real"], "texts": [ADD_N]},
    {"ddl": ["alter table changing alter n type bigint"], "texts": [ADD_N]},
    {"ddl": ["alter table changing rename column b to bb"], "texts": [BY_ID]},
]


async def one_worker(driver, work, steps, load, listening):
    names = list(steps)
    for round_ in range(load["rounds"]):
        for i in range(len(names)):
            name = names[(work.worker + i) % len(names)]
            work.doing = f"worker {work.worker}, round {round_}, {name}"
            try:
                if name == "listen":
                    # Two who wait for a message would hold both servers of the pool.
                    async with listening:
                        await steps[name](driver, work)
                else:
                    await steps[name](driver, work)
            except Exception as error:
                raise RuntimeError(f"{work.doing} failed: {error!r}") from error
    work.doing = f"worker {work.worker}, done"


async def run(driver, target, load):
    outcome = Outcome()
    steps = dict(COMMON)
    for name in ("pipeline", "stream", "copy", "listen"):
        step = getattr(type(driver), name)
        if step is not None:
            steps[name] = step
    works = [Work(target["database"], i, outcome) for i in range(load["workers"])]
    listening = asyncio.Lock()
    await driver.open(target, load["workers"])
    try:
        everybody = [one_worker(driver, work, steps, load, listening) for work in works]
        await asyncio.wait_for(asyncio.gather(*everybody), DEADLINE)
        outcome.steps += steps
        await asyncio.wait_for(changes(driver, outcome), DEADLINE)
        outcome.steps.append("changes")
    except asyncio.TimeoutError as error:
        raise RuntimeError("; ".join(work.doing for work in works)) from error
    finally:
        await driver.close()
    return outcome


def main(driver):
    """Runs the load that the first argument describes, and prints its outcome."""
    given = json.loads(sys.argv[1])
    print(asyncio.run(run(driver, given["target"], given["load"])).as_json())
