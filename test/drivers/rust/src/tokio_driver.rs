//! tokio-postgres in a pool of deadpool, with its cache of named statements.

use std::time::SystemTime;

use deadpool_postgres::{Manager, Object, Pool};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, NoTls};

use crate::work::{Failure, Result, Row, Session, Shape, Value};

pub type TokioPool = Pool;

pub fn open(url: &str, size: usize) -> TokioPool {
    let config = url.parse().expect("a URL of PostgreSQL");
    Pool::builder(Manager::new(config, NoTls)).max_size(size).build().expect("a pool")
}

pub struct TokioSession(Object);

pub async fn session(pool: &TokioPool) -> Result<TokioSession> {
    Ok(TokioSession(pool.get().await.map_err(Failure::of)?))
}

fn failure(error: Error) -> Failure {
    Failure { sqlstate: error.code().map(|code| code.code().to_owned()), words: error.to_string() }
}

impl Session for TokioSession {
    async fn query(&mut self, text: &str, values: &[Value], shape: Shape) -> Result<Vec<Row>> {
        if values.is_empty() && shape == Shape::Nothing {
            self.0.batch_execute(text).await.map_err(failure)?;
            return Ok(vec![]);
        }
        let statement = self.0.prepare_cached(text).await.map_err(failure)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = values
            .iter()
            .map(|value| match value {
                Value::Text(text) => text as &(dyn ToSql + Sync),
                Value::Int(n) => n as &(dyn ToSql + Sync),
            })
            .collect();
        let rows = self.0.query(&statement, &parameters).await.map_err(failure)?;
        rows.iter().map(readable).collect()
    }
}

fn readable(row: &tokio_postgres::Row) -> Result<Row> {
    let value = |i: usize, kind: &Type| -> std::result::Result<String, Error> {
        Ok(match *kind {
            Type::INT4 => format!("{:?}", row.try_get::<_, Option<i32>>(i)?.unwrap_or_default()),
            Type::INT8 => format!("{:?}", row.try_get::<_, Option<i64>>(i)?.unwrap_or_default()),
            Type::BOOL => format!("{:?}", row.try_get::<_, Option<bool>>(i)?.unwrap_or_default()),
            Type::TIMESTAMP => format!("{:?}", row.try_get::<_, Option<SystemTime>>(i)?),
            _ => row.try_get::<_, Option<String>>(i)?.unwrap_or_default(),
        })
    };
    row.columns()
        .iter()
        .enumerate()
        .map(|(i, column)| Ok((column.name().to_owned(), value(i, column.type_()).map_err(failure)?)))
        .collect()
}
