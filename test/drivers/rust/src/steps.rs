//! The steps that every driver can do on one connection.

use crate::work::{get, Result, Session, Shape, Value, Work};

pub const NAMES: [&str; 6] = ["queries", "prepared", "transactions", "settings", "temporary", "locks"];

pub async fn run(name: &str, on: &mut impl Session, work: &mut Work) -> Result<()> {
    match name {
        "queries" => queries(on, work).await,
        "prepared" => prepared(on, work).await,
        "transactions" => transactions(on, work).await,
        "settings" => settings(on, work).await,
        "temporary" => temporary(on, work).await,
        "locks" => locks(on, work).await,
        _ => unreachable!("no step {name}"),
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

async fn queries(on: &mut impl Session, work: &mut Work) -> Result<()> {
    for _ in 0..3 {
        for n in 0..3 {
            let tag = work.tag();
            let values = [text(&tag), Value::Int(n)];
            let rows = on.query("select $1::text as tag, $2::int as n", &values, Shape::TagAndN).await?;
            work.check(format!("{tag} {n}"), format!("{} {}", get(&rows, "tag"), get(&rows, "n")));
        }
        let tag = work.tag();
        let rows = on.query(&format!("select '{tag}'::text as tag"), &[], Shape::Tag).await?;
        work.check(&tag, get(&rows, "tag"));
        let refused = on.query("select 1 / $1::int as n", &[Value::Int(0)], Shape::N).await;
        work.fails("22012", refused)?;
    }
    let tag = work.tag();
    let many = "select $1::text || '-' || g as tag from generate_series(1, 300) as g";
    let rows = on.query(many, &[text(&tag)], Shape::Tag).await?;
    work.check(format!("{tag}-1 300"), format!("{} {}", get(&rows, "tag"), rows.len()));
    Ok(())
}

async fn prepared(on: &mut impl Session, work: &mut Work) -> Result<()> {
    for i in 0..24 {
        let tag = work.tag();
        let rows = on.query(&format!("select $1::text as tag, {} as n", i % 3), &[text(&tag)], Shape::TagAndN).await?;
        work.check(format!("{tag} {}", i % 3), format!("{} {}", get(&rows, "tag"), get(&rows, "n")));
    }
    Ok(())
}

async fn transactions(on: &mut impl Session, work: &mut Work) -> Result<()> {
    const INSERT: &str = "insert into ledger values ($1)";
    const READ: &str = "select tag from ledger where tag = $1";
    let (kept, undone) = (work.tag(), work.tag());
    on.run("begin").await?;
    on.query(INSERT, &[text(&kept)], Shape::Nothing).await?;
    work.check(&kept, get(&on.query(READ, &[text(&kept)], Shape::Tag).await?, "tag"));
    on.run("commit").await?;
    work.outcome.lock().unwrap().committed.push(kept);

    on.run("begin").await?;
    on.query(INSERT, &[text(&undone)], Shape::Nothing).await?;
    work.check(&undone, get(&on.query(READ, &[text(&undone)], Shape::Tag).await?, "tag"));
    on.run("rollback").await?;

    on.run("begin").await?;
    on.query(INSERT, &[text(&undone)], Shape::Nothing).await?;
    let refused = on.query("select 1 / $1::int as n", &[Value::Int(0)], Shape::N).await;
    work.fails("22012", refused)?;
    let refused = on.query(INSERT, &[text(&undone)], Shape::Nothing).await;
    work.fails("25P02", refused)?;
    on.run("rollback").await?;
    work.check(0, on.query(READ, &[text(&undone)], Shape::Tag).await?.len());
    Ok(())
}

async fn shows(on: &mut impl Session, work: &Work, wanted: &str) -> Result<()> {
    let rows = on.query("select current_setting('app.tenant') as tag", &[], Shape::Tag).await?;
    work.check(wanted, get(&rows, "tag"));
    Ok(())
}

async fn settings(on: &mut impl Session, work: &mut Work) -> Result<()> {
    let (tenant, other) = (work.tag(), work.tag());
    on.query("select set_config('app.tenant', $1::text, false) as tag", &[text(&tenant)], Shape::Tag).await?;
    for _ in 0..3 {
        shows(on, work, &tenant).await?;
    }
    on.run("begin").await?;
    on.run(&format!("set local app.tenant = '{other}'")).await?;
    shows(on, work, &other).await?;
    on.run("commit").await?;
    shows(on, work, &tenant).await?;
    on.run("begin").await?;
    on.run(&format!("set app.tenant = '{other}'")).await?;
    shows(on, work, &other).await?;
    on.run("rollback").await?;
    shows(on, work, &tenant).await
}

async fn temporary(on: &mut impl Session, work: &mut Work) -> Result<()> {
    let mut tags = [work.tag(), work.tag(), work.tag()];
    tags.sort();
    // The same name for all: another one's table would bring another one's tags.
    on.run("create temporary table scratch (tag text)").await?;
    for tag in &tags {
        on.run(&format!("insert into scratch values ('{tag}')")).await?;
    }
    for _ in 0..3 {
        let rows = on.query("select tag from scratch", &[], Shape::Tag).await?;
        let mut found: Vec<String> = rows.iter().map(|row| get(std::slice::from_ref(row), "tag")).collect();
        found.sort();
        work.check(tags.join(" "), found.join(" "));
    }
    on.run("drop table scratch").await
}

async fn locks(on: &mut impl Session, work: &mut Work) -> Result<()> {
    on.query("select pg_advisory_lock(7)::text as tag", &[], Shape::Tag).await?;
    // Read here and written there, so that two at once would lose one of the two.
    let n: i32 = get(&on.query("select n from counter", &[], Shape::N).await?, "n").parse().map_err(crate::work::Failure::of)?;
    on.run(&format!("update counter set n = {}", n + 1)).await?;
    work.outcome.lock().unwrap().increments += 1;
    work.check("true", get(&on.query("select pg_advisory_unlock(7) as unlocked", &[], Shape::Unlocked).await?, "unlocked"));
    Ok(())
}
