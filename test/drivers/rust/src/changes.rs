//! Two connections run statements they know while a third changes the table below them. What the two are answered is
//! written down, because it must be what a direct connection answers. See schema-changes.ts.

use crate::work::{get, Outcome, Result, Session, Shape, Value};

type Statement = (&'static str, i32, Shape);

pub const BY_ID: &str = "select * from changing where id = $1";
pub const ONLY_N: &str = "select n from changing where id = $1";
pub const ADD_N: &str = "insert into changing (id, n) values (2, $1)";

const CHANGES: [(&str, &[Statement]); 6] = [
    ("alter table changing drop column b, add column c text default '555'", &[(BY_ID, 1, Shape::Changing)]),
    ("alter table changing add column d text default 'd'", &[(BY_ID, 1, Shape::Changing)]),
    ("alter table changing alter n type bigint", &[(BY_ID, 1, Shape::Changing), (ONLY_N, 1, Shape::N)]),
    ("alter table changing alter n type real", &[(ADD_N, 5, Shape::Nothing)]),
    ("alter table changing alter n type bigint", &[(ADD_N, 5, Shape::Nothing)]),
    ("alter table changing rename column b to bb", &[(BY_ID, 1, Shape::Changing)]),
];

/// The four connections that take part.
pub struct Parties<S: Session> {
    pub first: S,
    pub second: S,
    pub blocker: S,
    pub owner: S,
}

impl<S: Session> Parties<S> {
    pub async fn run(&mut self, outcome: &mut Outcome) -> Result<()> {
        for (ddl, statements) in CHANGES {
            self.owner.run("drop table if exists changing").await?;
            self.owner.run("create table changing (id int, a text, b text, n int, at timestamp)").await?;
            self.owner.run("insert into changing values (1, 'a', 'b', 7, '2024-01-02 03:04:05')").await?;
            for statement in statements {
                self.both(statement, 6, outcome).await?;
            }
            self.owner.run(ddl).await?;
            outcome.changes.push(ddl.to_owned());
            for statement in statements {
                self.both(statement, 3, outcome).await?;
            }
            for row in self.owner.query("select changing::text as tag from changing order by 1", &[], Shape::Tag).await? {
                outcome.changes.push(get(&[row], "tag"));
            }
        }
        Ok(())
    }

    async fn both(&mut self, statement: &Statement, times: usize, outcome: &mut Outcome) -> Result<()> {
        for i in 0..times {
            // Whoever is in a transaction has one of the two servers, so that the others meet both.
            let blocked = i % 2 == 1;
            if blocked {
                self.blocker.run("begin").await?;
                self.blocker.query("select 1 as n", &[], Shape::N).await?;
            }
            outcome.changes.push(format!("first: {}", told(&mut self.first, statement).await));
            outcome.changes.push(format!("second: {}", told(&mut self.second, statement).await));
            if blocked {
                self.blocker.run("commit").await?;
            }
        }
        Ok(())
    }
}

async fn told(on: &mut impl Session, (text, value, shape): &Statement) -> String {
    match on.query(text, &[Value::Int(*value)], *shape).await {
        Err(failure) => failure.sqlstate.unwrap_or(failure.words),
        Ok(rows) => {
            // Names and values: mixed up columns would show.
            let line = |row: &Vec<(String, String)>| {
                row.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
            };
            rows.iter().map(line).collect::<Vec<_>>().join("; ")
        }
    }
}
