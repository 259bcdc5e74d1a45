//! One worker's view of the load: its tags, and where it reports what came back.

use std::fmt::{Debug, Display};
use std::sync::{Arc, Mutex};

/// What happened; `json` is what scenario.ts calls an Outcome.
#[derive(Default)]
pub struct Outcome {
    pub steps: Vec<String>,
    pub queries: usize,
    pub mix_ups: Vec<String>,
    pub committed: Vec<String>,
    pub increments: usize,
    pub changes: Vec<String>,
}

impl Outcome {
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "steps": self.steps, "queries": self.queries, "mixUps": self.mix_ups, "committed": self.committed,
            "increments": self.increments, "changes": self.changes,
        })
    }
}

/// A query that failed: the SQLSTATE where PostgreSQL refused it, and the driver's words.
#[derive(Debug)]
pub struct Failure {
    pub sqlstate: Option<String>,
    pub words: String,
}

impl Failure {
    pub fn of(error: impl Debug) -> Failure {
        Failure { sqlstate: None, words: format!("{error:?}") }
    }
}

pub type Result<T> = std::result::Result<T, Failure>;

/// A parameter.
#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    Int(i32),
}

/// What a statement brings, for drivers that want to know it before.
#[derive(Clone, Copy, PartialEq)]
pub enum Shape {
    Nothing,
    Tag,
    TagAndN,
    N,
    Unlocked,
    Changing,
}

/// Names and values, in the order of the columns.
pub type Row = Vec<(String, String)>;

/// The value of a column; empty where there is none.
pub fn get(rows: &[Row], column: &str) -> String {
    rows.first().and_then(|row| row.iter().find(|(name, _)| name == column)).map(|(_, value)| value.clone()).unwrap_or_default()
}

/// One connection of a driver, taken from its pool.
#[allow(async_fn_in_trait)]
pub trait Session {
    /// Runs a text with `$1`-style parameters, each used once and in order.
    async fn query(&mut self, text: &str, values: &[Value], shape: Shape) -> Result<Vec<Row>>;

    async fn run(&mut self, text: &str) -> Result<()> {
        self.query(text, &[], Shape::Nothing).await.map(|_| ())
    }
}

pub struct Work {
    pub worker: usize,
    pub doing: String,
    pub outcome: Arc<Mutex<Outcome>>,
    prefix: String,
    count: usize,
}

impl Work {
    pub fn new(prefix: &str, worker: usize, outcome: Arc<Mutex<Outcome>>) -> Work {
        Work { worker, doing: String::new(), outcome, prefix: prefix.to_owned(), count: 0 }
    }

    /// A text that no other query of this run has.
    pub fn tag(&mut self) -> String {
        self.count += 1;
        format!("{}_w{}_{}", self.prefix, self.worker, self.count)
    }

    /// Counts one query and compares what it brought with what it must have brought.
    pub fn check(&self, wanted: impl Display, got: impl Display) {
        let (wanted, got) = (wanted.to_string(), got.to_string());
        let mut outcome = self.outcome.lock().unwrap();
        outcome.queries += 1;
        if wanted != got {
            outcome.mix_ups.push(format!("{}: wanted {wanted}, got {got}", self.doing));
        }
    }

    /// Counts one query that must fail with this SQLSTATE.
    pub fn fails<T>(&self, sqlstate: &str, result: Result<T>) -> Result<()> {
        match result {
            Err(failure) if failure.sqlstate.as_deref() != Some(sqlstate) => Err(failure),
            Err(_) => {
                self.check(sqlstate, sqlstate);
                Ok(())
            }
            Ok(_) => {
                self.check(sqlstate, "success");
                Ok(())
            }
        }
    }
}
