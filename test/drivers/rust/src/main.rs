//! The load of the matrix for drivers of Rust: what scenario.ts, common-steps.ts and schema-changes.ts are for Node. Every
//! query selects a tag of its own, and the answer must carry exactly that tag. Arguments: the driver, and the target and
//! load as JSON. Prints the outcome as JSON.

mod changes;
mod diesel_driver;
mod steps;
mod tokio_driver;
mod work;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::try_join_all;

use changes::Parties;
use work::{Outcome, Result, Session, Work};

/// Longest time one load may take. Only one that hangs gets there.
const DEADLINE: Duration = Duration::from_secs(60);

struct Given {
    database: String,
    workers: usize,
    rounds: usize,
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given: serde_json::Value = serde_json::from_str(&arguments[2]).expect("JSON");
    let url = given["target"]["url"].as_str().expect("a URL").to_owned();
    let load = Given {
        database: given["target"]["database"].as_str().expect("a database").to_owned(),
        workers: given["load"]["workers"].as_u64().expect("workers") as usize,
        rounds: given["load"]["rounds"].as_u64().expect("rounds") as usize,
    };
    let outcome = if arguments[1] == "diesel" {
        let pool = diesel_driver::open(&url, load.workers);
        tokio::time::timeout(DEADLINE, run(&load, || diesel_driver::session(&pool))).await
    } else {
        let pool = tokio_driver::open(&url, load.workers);
        tokio::time::timeout(DEADLINE, run(&load, || tokio_driver::session(&pool))).await
    };
    match outcome.expect("the load to end in time") {
        Ok(outcome) => println!("{}", outcome.json()),
        Err(failure) => {
            eprintln!("{} {}", failure.sqlstate.unwrap_or_default(), failure.words);
            std::process::exit(1);
        }
    }
}

async fn run<S: Session, F: std::future::Future<Output = Result<S>>>(load: &Given, open: impl Fn() -> F) -> Result<Outcome> {
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let workers = (0..load.workers).map(|i| {
        let work = Work::new(&load.database, i, outcome.clone());
        one_worker(load, work, &open)
    });
    try_join_all(workers).await?;
    let mut outcome = std::mem::take(&mut *outcome.lock().unwrap());
    outcome.steps = steps::NAMES.iter().map(|name| (*name).to_owned()).collect();
    let mut parties = Parties { first: open().await?, second: open().await?, blocker: open().await?, owner: open().await? };
    parties.run(&mut outcome).await?;
    outcome.steps.push("changes".to_owned());
    Ok(outcome)
}

async fn one_worker<S: Session, F: std::future::Future<Output = Result<S>>>(
    load: &Given,
    mut work: Work,
    open: &impl Fn() -> F,
) -> Result<()> {
    for round in 0..load.rounds {
        for i in 0..steps::NAMES.len() {
            let name = steps::NAMES[(work.worker + i) % steps::NAMES.len()];
            work.doing = format!("worker {}, round {round}, {name}", work.worker);
            let mut session = open().await?;
            steps::run(name, &mut session, &mut work).await.map_err(|mut failure| {
                failure.words = format!("{}: {}", work.doing, failure.words);
                failure
            })?;
        }
    }
    Ok(())
}
