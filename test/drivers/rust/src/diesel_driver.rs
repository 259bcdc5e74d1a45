//! Diesel on diesel-async, with its own cache of statements. The tables of the load are its tables.

use diesel::sql_types::{Bool, Integer, Text};
use diesel::{sql_query, ExpressionMethods, QueryDsl, QueryableByName};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::changes::{ADD_N, BY_ID, ONLY_N};
use crate::work::{Failure, Result, Row, Session, Shape, Value};

diesel::table! {
    ledger (tag) {
        tag -> Text,
    }
}

diesel::table! {
    changing (id) {
        id -> Integer,
        a -> Nullable<Text>,
        b -> Nullable<Text>,
        n -> Nullable<Integer>,
    }
}

#[derive(QueryableByName)]
struct Tag {
    #[diesel(sql_type = Text)]
    tag: String,
}

#[derive(QueryableByName)]
struct TagAndN {
    #[diesel(sql_type = Text)]
    tag: String,
    #[diesel(sql_type = Integer)]
    n: i32,
}

#[derive(QueryableByName)]
struct N {
    #[diesel(sql_type = Integer)]
    n: i32,
}

#[derive(QueryableByName)]
struct Unlocked {
    #[diesel(sql_type = Bool)]
    unlocked: bool,
}

pub type DieselPool = Pool<AsyncPgConnection>;

pub fn open(url: &str, size: usize) -> DieselPool {
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url);
    Pool::builder(manager).max_size(size).build().expect("a pool")
}

pub struct DieselSession(Object<AsyncPgConnection>);

pub async fn session(pool: &DieselPool) -> Result<DieselSession> {
    Ok(DieselSession(pool.get().await.map_err(Failure::of)?))
}

/// Diesel keeps no SQLSTATE, only kinds of errors and PostgreSQL's words.
fn failure(error: diesel::result::Error) -> Failure {
    let words = error.to_string();
    let known = [("division by zero", "22012"), ("current transaction is aborted", "25P02")];
    let sqlstate = known.iter().find(|(text, _)| words.contains(text)).map(|(_, state)| (*state).to_owned());
    Failure { sqlstate, words }
}

fn named(columns: &[(&str, String)]) -> Row {
    columns.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

impl Session for DieselSession {
    async fn query(&mut self, text: &str, values: &[Value], shape: Shape) -> Result<Vec<Row>> {
        match (text, values) {
            (_, []) if shape == Shape::Nothing => {
                self.0.batch_execute(text).await.map_err(failure)?;
                Ok(vec![])
            }
            ("insert into ledger values ($1)", [Value::Text(tag)]) => {
                let add = diesel::insert_into(ledger::table).values(ledger::tag.eq(tag));
                add.execute(&mut self.0).await.map_err(failure)?;
                Ok(vec![])
            }
            ("select tag from ledger where tag = $1", [Value::Text(tag)]) => {
                let found = ledger::table.filter(ledger::tag.eq(tag)).select(ledger::tag);
                let tags: Vec<String> = found.load(&mut self.0).await.map_err(failure)?;
                Ok(tags.into_iter().map(|tag| named(&[("tag", tag)])).collect())
            }
            (BY_ID, [Value::Int(id)]) => self.by_id(*id).await,
            (ONLY_N, [Value::Int(id)]) => {
                let found = changing::table.filter(changing::id.eq(*id)).select(changing::n);
                let values: Vec<Option<i32>> = found.load(&mut self.0).await.map_err(failure)?;
                Ok(values.iter().map(|n| named(&[("n", format!("{n:?}"))])).collect())
            }
            (ADD_N, [Value::Int(n)]) => {
                let row = (changing::id.eq(2), changing::n.eq(*n));
                diesel::insert_into(changing::table).values(row).execute(&mut self.0).await.map_err(failure)?;
                Ok(vec![])
            }
            _ => self.in_sql(text, values, shape).await,
        }
    }
}

impl DieselSession {
    async fn by_id(&mut self, id: i32) -> Result<Vec<Row>> {
        type Changing = (i32, Option<String>, Option<String>, Option<i32>);
        let found = changing::table.filter(changing::id.eq(id));
        let rows: Vec<Changing> = found.load(&mut self.0).await.map_err(failure)?;
        let row = |(id, a, b, n): &Changing| {
            let shown = [("id", id.to_string()), ("a", format!("{a:?}")), ("b", format!("{b:?}")), ("n", format!("{n:?}"))];
            named(&shown)
        };
        Ok(rows.iter().map(row).collect())
    }

    async fn in_sql(&mut self, text: &str, values: &[Value], shape: Shape) -> Result<Vec<Row>> {
        let mut query = sql_query(text).into_boxed::<diesel::pg::Pg>();
        for value in values {
            query = match value {
                Value::Text(text) => query.bind::<Text, _>(text.clone()),
                Value::Int(n) => query.bind::<Integer, _>(*n),
            };
        }
        Ok(match shape {
            Shape::Nothing | Shape::Changing => {
                query.execute(&mut self.0).await.map_err(failure)?;
                vec![]
            }
            Shape::Tag => {
                let rows: Vec<Tag> = query.load(&mut self.0).await.map_err(failure)?;
                rows.into_iter().map(|row| named(&[("tag", row.tag)])).collect()
            }
            Shape::TagAndN => {
                let rows: Vec<TagAndN> = query.load(&mut self.0).await.map_err(failure)?;
                rows.into_iter().map(|row| named(&[("tag", row.tag), ("n", row.n.to_string())])).collect()
            }
            Shape::N => {
                let rows: Vec<N> = query.load(&mut self.0).await.map_err(failure)?;
                rows.into_iter().map(|row| named(&[("n", row.n.to_string())])).collect()
            }
            Shape::Unlocked => {
                let rows: Vec<Unlocked> = query.load(&mut self.0).await.map_err(failure)?;
                rows.into_iter().map(|row| named(&[("unlocked", row.unlocked.to_string())])).collect()
            }
        })
    }
}
