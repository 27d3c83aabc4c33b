//! Tasks per second through the store (submit, claim, settle), with CPU time and log per task.
//!
//! `cargo bench -p store -- [postgres | sqlite] [WORD...] [--quick]` runs the cases whose name contains every word, such as
//! `pull`, `batch-100`, `waiting` or `snapshot`, and none of the words written as `-WORD`. PostgreSQL is the server in
//! `TASKER_BENCH_POSTGRES` (or `TASKER_TEST_POSTGRES`); measure on one whose commits wait for the disk
//! (`TASKER_PG_DURABLE=1 scripts/with-postgres ...`).
#![expect(clippy::unwrap_used, reason = "a measurement that fails ends with a panic that names the line")]
#![expect(clippy::print_stdout, reason = "the table is the output")]

mod cases;
mod host_usage;
mod load;
mod sample_task;
mod setup;

use std::time::Duration;

use crate::cases::{Case, DatabaseKind};
use crate::load::Sample;
use crate::setup::Setup;

/// How long the parts of a measurement last.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Before the measurement: opens connections, fills caches.
    warm_up: Duration,
    /// The measurement of one case.
    measure: Duration,
    /// A case beside a held snapshot, of which the first and the last `measure` are printed.
    beside_snapshot: Duration,
    /// The number of tasks that wait in the cases with many waiting.
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
        .filter(|case| {
            words.iter().filter(|word| *word != "--quick").all(|word| is_chosen(&case.name(), word))
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(&cases, plan));
}

/// Whether `word` admits the case `name`: `-WORD` leaves out what `WORD` would choose.
fn is_chosen(name: &str, word: &str) -> bool {
    word.strip_prefix('-').map_or_else(|| name.contains(word), |word| !name.contains(word))
}

/// Cases with the same backlog share a database, since filling it takes longer than measuring a case.
async fn run(cases: &[Case], plan: Plan) {
    println!("120 B of parameters, 20 B of result, {} waiting where many wait", plan.waiting);
    println!("{}", host_usage::describe());
    println!("\n{HEAD}");
    for kind in [DatabaseKind::Postgres, DatabaseKind::Sqlite] {
        for waiting in [false, true] {
            let here: Vec<&Case> = cases.iter().filter(|c| c.kind == kind && c.waiting == waiting).collect();
            let mut shared = None;
            for case in here {
                let setup = match shared.take() {
                    Some(setup) if waiting => setup,
                    old => {
                        if let Some(old) = old {
                            Setup::remove(old).await;
                        }
                        Setup::create(kind, if waiting { plan.waiting } else { 0 }).await
                    }
                };
                measure(&setup, case, plan).await;
                setup.vacuum().await;
                shared = Some(setup);
            }
            if let Some(setup) = shared {
                setup.remove().await;
            }
        }
    }
}

const HEAD: &str = "\
| case | writers | full tasks/s | server CPU us/task | own CPU us/task | WAL B/task (SQLite: B written) | fdatasync ms | foreign CPU |
| --- | --- | --- | --- | --- | --- | --- | --- |";

async fn measure(setup: &Setup, case: &Case, plan: Plan) {
    let sync = setup.fdatasync();
    if !case.snapshot {
        let samples = load::run(setup, case, plan.warm_up, &[plan.measure]).await;
        return row(&case.name(), case, &samples[0], sync);
    }
    let snapshot = setup.hold_snapshot().await;
    let between = plan.beside_snapshot.saturating_sub(plan.measure * 2);
    let windows = [plan.measure, between, plan.measure];
    let samples = load::run(setup, case, plan.warm_up, &windows).await;
    drop(snapshot);
    let name = case.name();
    row(&format!("{name}, first {} s", plan.measure.as_secs()), case, &samples[0], sync);
    let last = format!("{name}, last {} s of {}", plan.measure.as_secs(), plan.beside_snapshot.as_secs());
    row(&last, case, &samples[2], setup.fdatasync());
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
