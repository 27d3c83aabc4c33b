//! Full tasks per second at the store: submit, claim, settle, with what each costs the database.
//!
//! `cargo bench -p store -- [postgres | sqlite] [WORD...] [--quick]` runs the cases whose name holds every word, such as
//! `pull`, `batch-100`, `waiting` or `snapshot`, and no word of those written as `-WORD`. PostgreSQL is the server in `TASKER_BENCH_POSTGRES` (or
//! `TASKER_TEST_POSTGRES`); measure on one that keeps its commits (`TASKER_PG_DURABLE=1 scripts/with-postgres ...`).
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on says where")]
#![expect(clippy::print_stdout, reason = "the table is the product")]

mod case;
mod ground;
mod host;
mod load;

use std::time::Duration;

use crate::case::{Case, Kind};
use crate::ground::Ground;
use crate::load::Sample;

/// How long the parts of a measurement last.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Before the first look: connections, plans, caches.
    warm_up: Duration,
    /// One case.
    measure: Duration,
    /// A case beside a held snapshot; its first and its last `measure` are shown.
    beside_snapshot: Duration,
    /// The backlog of the cases with many waiting.
    waiting: usize,
}

const FULL: Plan = Plan {
    warm_up: Duration::from_secs(1),
    measure: Duration::from_secs(5),
    beside_snapshot: Duration::from_mins(1),
    waiting: 1_000_000,
};

const QUICK: Plan = Plan {
    warm_up: Duration::from_millis(500),
    measure: Duration::from_secs(2),
    beside_snapshot: Duration::from_secs(10),
    waiting: 200_000,
};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let quick = words.iter().any(|word| word == "--quick");
    let plan = if quick { QUICK } else { FULL };
    let cases: Vec<Case> = Case::all(quick)
        .into_iter()
        .filter(|case| words.iter().filter(|word| *word != "--quick").all(|word| holds(&case.name(), word)))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(&cases, plan));
}

/// `-WORD` leaves out what `WORD` would choose.
fn holds(name: &str, word: &str) -> bool {
    word.strip_prefix('-').map_or_else(|| name.contains(word), |word| !name.contains(word))
}

/// Cases on the same ground share its backlog, which takes longer to lay than a case to measure.
async fn run(cases: &[Case], plan: Plan) {
    println!("120 B of parameters, 20 B of result, {} waiting where many wait", plan.waiting);
    println!("{}", host::describe());
    println!("\n{HEAD}");
    for kind in [Kind::Postgres, Kind::Sqlite] {
        for waiting in [false, true] {
            let here: Vec<&Case> = cases.iter().filter(|c| c.kind == kind && c.waiting == waiting).collect();
            let mut shared = None;
            for case in here {
                let ground = match shared.take() {
                    Some(ground) if waiting => ground,
                    old => {
                        if let Some(old) = old {
                            Ground::clear(old).await;
                        }
                        Ground::lay(kind, if waiting { plan.waiting } else { 0 }).await
                    }
                };
                measure(&ground, case, plan).await;
                ground.tidy().await;
                shared = Some(ground);
            }
            if let Some(ground) = shared {
                ground.clear().await;
            }
        }
    }
}

const HEAD: &str = "\
| case | writers | full tasks/s | server CPU us/task | own CPU us/task | WAL B/task (SQLite: B written) | fdatasync ms | foreign CPU |
| --- | --- | --- | --- | --- | --- | --- | --- |";

async fn measure(ground: &Ground, case: &Case, plan: Plan) {
    let sync = ground.fdatasync();
    if !case.snapshot {
        let samples = load::run(ground, case, plan.warm_up, &[plan.measure]).await;
        return row(&case.name(), case, &samples[0], sync);
    }
    let snapshot = ground.hold_snapshot().await;
    let between = plan.beside_snapshot.saturating_sub(plan.measure * 2);
    let windows = [plan.measure, between, plan.measure];
    let samples = load::run(ground, case, plan.warm_up, &windows).await;
    drop(snapshot);
    let name = case.name();
    row(&format!("{name}, first {} s", plan.measure.as_secs()), case, &samples[0], sync);
    let last = format!("{name}, last {} s of {}", plan.measure.as_secs(), plan.beside_snapshot.as_secs());
    row(&last, case, &samples[2], ground.fdatasync());
}

fn row(name: &str, case: &Case, sample: &Sample, sync: f64) {
    let or_dash = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.1}"));
    println!(
        "| {name} | {} | {:.0} | {} | {:.1} | {:.0} | {sync:.2} | {:.0} % |",
        case.writers,
        sample.per_second,
        or_dash(sample.server_cpu),
        sample.own_cpu,
        sample.wal,
        sample.foreign * 100.0,
    );
}
