//! Random histories, lived through by the machine in memory and by the tables: every row agrees after every step, and
//! verbs that race have the effect of some order, task by task (G3, G4, G5, G6, G7, G18).

pub(crate) mod calls;
pub(crate) mod model;
pub(crate) mod steps;

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use store::Store;

use crate::kit::Bench;
use crate::kit::table_dump::{Books, books};
use crate::model_check::calls::{Call, Touch, run_all};
use crate::model_check::model::{Act, Answer, Line, Model};
use crate::model_check::steps::{Step, Verb, histories};

/// How long a worker may be silent, in microseconds.
const SILENCE: i64 = 3_000_000;

/// How much longer until it is forgotten.
const FORGET: i64 = 60_000_000;

const CLEAR: &str = "delete from live; delete from outcome; delete from task; delete from worker";

#[test]
fn random_histories_on_sqlite_are_those_of_the_machine() {
    live_through(48, Bench::sqlite());
}

#[test]
fn random_histories_on_postgres_are_those_of_the_machine() {
    live_through(96, Bench::postgres());
}

/// `PROPTEST_CASES` asks for more histories, `PROPTEST_RNG_SEED` for the ones that failed.
fn live_through(cases: u32, bench: impl Future<Output = Bench>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bench = runtime.block_on(bench);
    let mut config = Config::default();
    if config.cases == 256 {
        config.cases = cases;
    }
    config.failure_persistence = None;
    config.max_shrink_iters = 500;
    config.rng_seed = seed(config.rng_seed);
    let seed = config.rng_seed;
    let outcome = TestRunner::new(config)
        .run(&histories(), |history| runtime.block_on(lived(&bench, &history)).map_err(TestCaseError::fail));
    if let Err(failure) = outcome {
        panic!("{seed:?} of PROPTEST_RNG_SEED: {failure}");
    }
    runtime.block_on(bench.finish());
}

/// A seed that a failure can name.
fn seed(given: proptest::test_runner::RngSeed) -> proptest::test_runner::RngSeed {
    use proptest::test_runner::RngSeed::{Fixed, Random};
    match given {
        Random => Fixed(domain::ClaimId::random().0.as_u64_pair().0),
        fixed @ Fixed(_) => fixed,
    }
}

/// One history on a cleared database.
async fn lived(bench: &Bench, history: &[Step]) -> Result<(), String> {
    bench.execute(CLEAR).await.unwrap();
    let bench = Bench { store: bench.another(), ..bench.clone() };
    let mut model = Model::default();
    for (number, step) in history.iter().enumerate() {
        let lived = match step {
            Step::Advance(micros) => {
                bench.advance(*micros).await;
                Ok(())
            }
            Step::Beat { worker, running } => {
                crate::model_check::calls::heartbeat(&bench, &mut model, *worker, running).await
            }
            Step::Verbs(verbs) => verbs_at_once(&bench, &mut model, verbs).await,
        };
        lived.map_err(|why| format!("step {number}, {step:?}: {why}"))?;
        let found = books(&bench.db).await;
        let expected = expected(&model);
        if found != expected {
            return Err(format!("step {number}, {step:?}: the tables hold {found:#?} and not {expected:#?}"));
        }
    }
    Ok(())
}

/// One verb, or several that race; the model adopts whatever order explains what came of them.
async fn verbs_at_once(bench: &Bench, model: &mut Model, verbs: &[Verb]) -> Result<(), String> {
    let calls: Vec<Call> = verbs.iter().map(|verb| Call::of(verb, model, bench)).collect();
    let before = model.clone();
    for call in &calls {
        call.accept(model, bench.now());
    }
    let stores: Vec<Store> = match &*calls {
        [_] => vec![bench.store.clone()],
        racing => racing.iter().map(|_| bench.another()).collect(),
    };
    let answers = run_all(&stores, &calls).await;
    let found = books(&bench.db).await;
    let mut touches: Vec<Touch> = Vec::new();
    for (call, answer) in calls.iter().zip(&answers) {
        touches.extend(call.touches(answer, model, bench.now())?);
    }
    for (id, line) in &mut model.lines {
        let mine: Vec<&Touch> = touches.iter().filter(|touch| touch.id == *id).collect();
        let todo = vec![Todo::Act; mine.len()];
        *line = explained(line, &mine, &todo, &found, bench.now())
            .ok_or_else(|| format!("no order explains {mine:#?} on {line:?}: {found:#?}"))?;
    }
    if let ([call], [answer]) = (&*calls, &*answers) {
        call.check_alone(answer, &before, bench.now())?;
    }
    crate::model_check::calls::check_claims(&calls, &answers, &before, bench.now())?;
    let raced = (calls.len() > 1).then_some(&found);
    for call in &calls {
        call.forget_silent(model, raced, bench.now());
    }
    Ok(())
}

/// What is still to happen for one touch: the statement that acts, then, if it moved nothing, the answer that is read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Todo {
    Act,
    Read,
    Nothing,
}

/// The line after some order of `touches` that gives each the answer it had and ends in the rows that were found.
fn explained(line: &Line, touches: &[&Touch], todo: &[Todo], found: &Books, now: i64) -> Option<Line> {
    if todo.iter().all(|todo| *todo == Todo::Nothing) {
        return agrees(line, found).then(|| line.clone());
    }
    for (place, touch) in touches.iter().enumerate() {
        let mut after = line.clone();
        let next = match (todo[place], &touch.act) {
            (Todo::Act, act) => match after.meet(act, now) {
                (answer, _) if answer == touch.answer => Todo::Nothing,
                (_, false) if matches!(act, Act::Claim(_) | Act::Report(_)) => Todo::Read,
                _ => continue,
            },
            (Todo::Read, Act::Report(report))
                if Answer::SettleResult(line.settled(report, now)) == touch.answer =>
            {
                Todo::Nothing
            }
            (Todo::Read, Act::Claim(ask)) if line.granted(ask, now) == touch.answer => Todo::Nothing,
            _ => continue,
        };
        let mut todo = todo.to_vec();
        todo[place] = next;
        if let Some(explained) = explained(&after, touches, &todo, found, now) {
            return Some(explained);
        }
    }
    None
}

fn agrees(line: &Line, found: &Books) -> bool {
    let unended = found.live.iter().find(|row| row.0 == line.task.id.0);
    let ended = found.outcome.iter().find(|row| row.0 == line.task.id.0);
    line.live_row().as_ref() == unended && line.outcome_row().as_ref() == ended
}

fn expected(model: &Model) -> Books {
    Books {
        task: model.lines.values().map(Line::task_row).collect(),
        live: model.lines.values().filter_map(Line::live_row).collect(),
        outcome: model.lines.values().filter_map(Line::outcome_row).collect(),
        worker: model.seen.iter().map(|(name, seen)| (name.as_str().to_owned(), *seen)).collect(),
    }
}
