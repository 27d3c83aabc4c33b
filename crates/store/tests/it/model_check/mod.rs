//! Random histories, applied to the state machine in memory and to the tables: every row agrees after every step, and the
//! effect of concurrent operations is that of some order of them, task by task (linearizability; G3, G4, G5, G6, G7, G18).

pub(crate) mod calls;
pub(crate) mod model;
pub(crate) mod pull_rules;
pub(crate) mod rows;
pub(crate) mod steps;

use domain::{State, Status, TaskId};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use store::Store;

use crate::kit::TestStore;
use crate::kit::table_dump::{Tables, dump_tables};
use crate::model_check::calls::{Call, Effect, heartbeat, run_all};
use crate::model_check::model::{Act, Answer, Model, ModelTask};
use crate::model_check::pull_rules::check_claims;
use crate::model_check::steps::{Operation, Step, histories};

const CLEAR: &str = "delete from unfinished_task; delete from attempt; delete from outcome; delete from task; delete from dependency; delete from worker";

#[test]
fn random_histories_on_sqlite_match_the_state_machine() {
    run_histories(48, TestStore::sqlite());
}

#[test]
fn random_histories_on_postgres_match_the_state_machine() {
    run_histories(96, TestStore::postgres());
}

/// Runs `cases` histories. `PROPTEST_CASES` sets another number, `PROPTEST_RNG_SEED` repeats the histories of a failure.
fn run_histories(cases: u32, test: impl Future<Output = TestStore>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = runtime.block_on(test);
    let mut config = Config::default();
    if config.cases == 256 {
        config.cases = cases;
    }
    config.failure_persistence = None;
    config.max_shrink_iters = 500;
    config.rng_seed = seed(config.rng_seed);
    let seed = config.rng_seed;
    let outcome = TestRunner::new(config).run(&histories(), |history| {
        runtime.block_on(run_history(&test, &history)).map_err(TestCaseError::fail)
    });
    if let Err(failure) = outcome {
        panic!("{seed:?} of PROPTEST_RNG_SEED: {failure}");
    }
    runtime.block_on(test.finish());
}

/// The seed of the histories; a random one is drawn here, so that a failure can name it.
fn seed(given: proptest::test_runner::RngSeed) -> proptest::test_runner::RngSeed {
    use proptest::test_runner::RngSeed::{Fixed, Random};
    match given {
        Random => Fixed(domain::ClaimId::random().0.as_u64_pair().0),
        fixed @ Fixed(_) => fixed,
    }
}

/// Runs one history on emptied tables.
async fn run_history(test: &TestStore, history: &[Step]) -> Result<(), String> {
    test.execute(CLEAR).await.unwrap();
    let test = TestStore { store: test.another(), ..test.clone() };
    let mut model = Model::default();
    for (number, step) in history.iter().enumerate() {
        let applied = match step {
            Step::Advance(micros) => {
                test.advance(*micros).await;
                Ok(())
            }
            Step::Heartbeat { worker, running } => heartbeat(&test, &mut model, *worker, running).await,
            Step::Calls(operations) => run_operations(&test, &mut model, operations).await,
        };
        applied.map_err(|why| format!("step {number}, {step:?}: {why}"))?;
        let found = dump_tables(&test.db).await;
        let expected = expected(&model);
        if found != expected {
            return Err(format!("step {number}, {step:?}: the tables hold {found:#?} and not {expected:#?}"));
        }
    }
    Ok(())
}

/// Runs one operation, or several concurrently. The model is set to the state after the order that explains the results.
async fn run_operations(test: &TestStore, model: &mut Model, operations: &[Operation]) -> Result<(), String> {
    let calls: Vec<Call> = operations.iter().map(|operation| Call::of(operation, model, test)).collect();
    let before = model.clone();
    for call in &calls {
        call.accept(model, test.now());
    }
    let stores: Vec<Store> = match &*calls {
        [_] => vec![test.store.clone()],
        concurrent => concurrent.iter().map(|_| test.another()).collect(),
    };
    for (store, task) in stores.iter().flat_map(|store| model.tasks.values().map(move |task| (store, task))) {
        store.add_priority(&task.submission.type_name, task.submission.options.priority);
    }
    let answers = run_all(&stores, &calls).await;
    let found = dump_tables(&test.db).await;
    let mut effects: Vec<Effect> = Vec::new();
    for (call, answer) in calls.iter().zip(&answers) {
        effects.extend(call.effects(answer, model, &found, test.now())?);
    }
    for (id, task) in &mut model.tasks {
        let own: Vec<&Effect> = effects.iter().filter(|effect| effect.id == *id).collect();
        let todo = vec![Todo::Act; own.len()];
        *task = explained(task, &own, &todo, &found, test.now())
            .ok_or_else(|| format!("no order explains {own:#?} on {task:?}: {found:#?}"))?;
    }
    check_dependencies(model, &effects)?;
    if let [Call::ResolveDependents] = &*calls {
        check_none_is_left(&before, model)?;
    }
    if let ([call], [answer]) = (&*calls, &*answers) {
        call.check_alone(answer, &before, test.now())?;
    }
    check_claims(&calls, &answers, &before, test.now())?;
    let concurrent = (calls.len() > 1).then_some(&found);
    for call in &calls {
        call.delete_silent_workers(model, concurrent, test.now());
    }
    Ok(())
}

/// Checks that tasks were freed and cancelled for what has become of the tasks that they wait for.
fn check_dependencies(model: &Model, effects: &[Effect]) -> Result<(), String> {
    for effect in effects {
        let expected = match effect.act {
            Act::Free => Status::Finished,
            Act::DependencyFailed(_) => Status::Cancelled,
            _ => continue,
        };
        let statuses = model.statuses_of_parents(effect.id);
        let is_explained = match effect.act {
            Act::Free => statuses.iter().all(|status| *status == expected),
            _ => statuses.contains(&expected),
        };
        if !is_explained {
            return Err(format!("{effect:?} although the tasks that it waits for are {statuses:?}"));
        }
    }
    Ok(())
}

/// Checks that no task is blocked whose parents had ended before the call. One whose parent was cancelled by the call is for the next one.
fn check_none_is_left(before: &Model, model: &Model) -> Result<(), String> {
    let is_left = |(id, task): &(&TaskId, &ModelTask)| {
        let parents = before.statuses_of_parents(**id);
        let is_decided =
            parents.contains(&Status::Cancelled) || parents.iter().all(|status| status.is_final());
        matches!(task.state, State::Blocked { .. }) && is_decided
    };
    model.tasks.iter().find(is_left).map_or(Ok(()), |left| Err(format!("{left:?} is still blocked")))
}

/// What is still to happen for one effect: the statement that changes the row, then, if it changed nothing, the query for the
/// answer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Todo {
    Act,
    Read,
    Nothing,
}

/// The task after some order of `effects` in which each gives the answer that was returned, and which ends in the rows that
/// were found; `None` if there is no such order.
fn explained(
    task: &ModelTask,
    effects: &[&Effect],
    todo: &[Todo],
    found: &Tables,
    now: i64,
) -> Option<ModelTask> {
    if todo.iter().all(|todo| *todo == Todo::Nothing) {
        return matches_rows(task, found).then(|| task.clone());
    }
    for (position, effect) in effects.iter().enumerate() {
        let mut after = task.clone();
        let next = match (todo[position], &effect.act) {
            (Todo::Act, act) => match after.apply_act(act, now) {
                (answer, _) if answer == effect.answer => Todo::Nothing,
                (_, false) if matches!(act, Act::Claim(_) | Act::Report(_)) => Todo::Read,
                _ => continue,
            },
            (Todo::Read, Act::Report(report))
                if Answer::SettleResult(task.settled(report, now)) == effect.answer =>
            {
                Todo::Nothing
            }
            (Todo::Read, Act::Claim(claim_request)) if task.granted(claim_request, now) == effect.answer => {
                Todo::Nothing
            }
            _ => continue,
        };
        let mut todo = todo.to_vec();
        todo[position] = next;
        if let Some(explained) = explained(&after, effects, &todo, found, now) {
            return Some(explained);
        }
    }
    None
}

fn matches_rows(task: &ModelTask, found: &Tables) -> bool {
    let unfinished = found.unfinished.iter().find(|row| row.0 == task.submission.id.0);
    let ended = found.outcome.iter().find(|row| row.0 == task.submission.id.0);
    let attempts: Vec<_> =
        found.attempt.iter().filter(|row| row.0 == task.submission.id.0).cloned().collect();
    task.unfinished_row().as_ref() == unfinished
        && task.outcome_row().as_ref() == ended
        && task.attempts == attempts
}

fn expected(model: &Model) -> Tables {
    Tables {
        task: model.tasks.values().map(ModelTask::task_row).collect(),
        unfinished: model.tasks.values().filter_map(ModelTask::unfinished_row).collect(),
        attempt: model.tasks.values().flat_map(|task| task.attempts.clone()).collect(),
        outcome: model.tasks.values().filter_map(ModelTask::outcome_row).collect(),
        worker: model.last_heartbeats.iter().map(|(name, at)| (name.as_str().to_owned(), *at)).collect(),
    }
}
