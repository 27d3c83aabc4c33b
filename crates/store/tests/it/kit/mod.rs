//! What every test needs: a store on an empty database, with a clock that the test sets on either kind of database.

pub(crate) mod table_dump;

use std::sync::Arc;

use database::{Db, ProcessClock, on};
use domain::{
    AttemptOutcome, ClaimId, Grant, InstanceId, NotBefore, OwnerId, ProgressReport, RawJson, Report,
    SettleResult, Status, SubjectId, Submission, Task, TaskId, Ttl, TypeName, WorkerName, WorkerProcess,
};
use sqlx::Executor;
use store::{AttributedProgress, AttributedReport, ClaimById, GrantWorker, Granted, Store};
use testkit::TestDatabase;
use uuid::Uuid;

pub(crate) const ANN: OwnerId = OwnerId(Uuid::from_u128(0xA));
pub(crate) const BOB: OwnerId = OwnerId(Uuid::from_u128(0xB));

/// The account that holds the workers' grants, and the process that each worker has, unless a test names others.
pub(crate) const SUBJECT: SubjectId = SubjectId(Uuid::from_u128(0xD));
pub(crate) const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(0xE));

pub(crate) const MILLI: i64 = 1000;
pub(crate) const SECOND: i64 = 1000 * MILLI;

/// Where every test's clock starts, in microseconds since 1970.
pub(crate) const START: i64 = 1_800_000_000 * SECOND;

/// Makes PostgreSQL read a row instead of its own clock.
const SET_CLOCK: &str = "
    create table test_clock (at bigint not null);
    insert into test_clock values (1800000000000000);
    create or replace function now_us() returns bigint language sql stable as $$ select at from test_clock $$";

/// Tasks whose ids begin with the 6 bytes of milliseconds of `$1` and end with a number.
const ENDED_POSTGRES: &str = "
    with many as (
        insert into task (id, owner, type, queue, ttl_ms, start_within_ms, created_at)
        select (substr($1::uuid::text, 1, 24) || lpad(to_hex(n), 12, '0'))::uuid, $2, 'demo.echo', 'default', 1, 1, $4
        from generate_series(1, $3) n
        returning id, owner, type
    )
    insert into outcome (id, owner, type, status, reason, attempt, ended_at)
    select id, owner, type, 'CANCELLED', 'REQUESTED', 0, $4 from many";

const ENDED_SQLITE: &str = "
    insert into task (id, owner, type, queue, ttl_ms, start_within_ms, created_at)
    with recursive n (n) as (select 1 union all select n + 1 from n where n < ?3)
    select unhex(substr(hex(?1), 1, 20) || printf('%012x', n)), ?2, 'demo.echo', 'default', 1, 1, ?4 from n;

    insert into outcome (id, owner, type, status, reason, attempt, ended_at)
    select id, owner, type, 'CANCELLED', 'REQUESTED', 0, ?4 from task t
    where not exists (select 1 from unfinished_task u where u.id = t.id)";

/// A store on a database of its own.
#[derive(Clone)]
pub(crate) struct TestStore {
    pub(crate) store: Store,
    pub(crate) db: Db,
    pub(crate) clock: ProcessClock,
    pub(crate) scratch: Arc<TestDatabase>,
}

/// Runs `run` on a new database of each kind. Afterwards every accepted task must be in exactly one status.
pub(crate) async fn each_database<F: Future<Output = ()>>(run: impl Fn(TestStore) -> F) {
    for test in [TestStore::sqlite().await, TestStore::postgres().await] {
        run(test.clone()).await;
        test.finish().await;
    }
}

impl TestStore {
    pub(crate) async fn sqlite() -> Self {
        Self::at(TestDatabase::sqlite()).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::at(TestDatabase::postgres().await).await
    }

    async fn at(scratch: TestDatabase) -> Self {
        let (db, clock) = (scratch.open(), ProcessClock::manual_at(START));
        let store = Store::new(db.clone(), clock.clone());
        store.migrate().await.unwrap();
        if let Db::Postgres(pools) = &db {
            pools.write.execute(SET_CLOCK).await.unwrap();
        }
        store.read_database_clock().await.unwrap();
        Self { store, db, clock, scratch: Arc::new(scratch) }
    }

    /// The store of another Backend on the same tables.
    pub(crate) fn another(&self) -> Store {
        Store::new(self.db.clone(), self.clock.clone())
    }

    /// Checks that every accepted task is in exactly one status, and drops the database.
    pub(crate) async fn finish(self) {
        assert!(self.store.counts().await.unwrap().is_balanced(), "{:?}", self.store.counts().await.unwrap());
        self.db.close().await;
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Advances the clock by `micros`.
    pub(crate) async fn advance(&self, micros: i64) {
        self.clock.advance(micros);
        if let Db::Postgres(pools) = &self.db {
            let update = sqlx::query("update test_clock set at = $1").bind(self.now());
            update.execute(&pools.write).await.unwrap();
        }
    }

    /// Runs a statement that the store has no method for.
    pub(crate) async fn execute(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        on!(&self.db, write, pool => pool.execute(statement).await.map(drop))
    }

    /// The number that `query` returns.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        let (number,): (i64,) =
            on!(&self.db, write, pool => sqlx::query_as(query).fetch_one(pool).await).unwrap();
        number
    }

    /// A new submission of Ann's, with a TTL of five seconds and a `startWithin` of a minute.
    pub(crate) fn submission(&self) -> Submission {
        Submission {
            id: self.store.new_task_id(),
            owner: ANN,
            type_name: kind("demo.echo"),
            queue: "default".parse().unwrap(),
            parameters: Some(json(r#"{"say":"hello"}"#)),
            ttl: millis(5000),
            not_before: NotBefore::Submission,
            start_within: millis(60_000),
            trace: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap()),
            options: domain::TaskOptions::default(),
        }
    }

    /// A CREATED task of Ann's.
    pub(crate) async fn created(&self) -> TaskId {
        let submission = self.submission();
        let id = submission.id;
        self.store.submit(&[submission]).await.unwrap();
        id
    }

    /// `count` CREATED tasks of Ann's.
    pub(crate) async fn many(&self, count: usize) -> Vec<TaskId> {
        let batch: Vec<Submission> = (0..count).map(|_| self.submission()).collect();
        self.store.submit(&batch).await.unwrap();
        batch.into_iter().map(|task| task.id).collect()
    }

    /// Inserts `count` tasks that are CANCELLED, with ids of now.
    pub(crate) async fn insert_ended(&self, owner: OwnerId, count: u32) {
        let first = self.store.new_task_id().0;
        match &self.db {
            Db::Postgres(pools) => {
                let insert = sqlx::query(ENDED_POSTGRES).bind(first).bind(owner.0).bind(i64::from(count));
                insert.bind(self.now()).execute(&pools.write).await.map(drop)
            }
            Db::Sqlite(pools) => {
                let mut connection = pools.write.acquire().await.unwrap();
                let insert = sqlx::query(ENDED_SQLITE).bind(first).bind(owner.0).bind(i64::from(count));
                insert.bind(self.now()).execute(&mut *connection).await.map(drop)
            }
        }
        .unwrap();
    }

    /// A RUNNING task of Ann's.
    pub(crate) async fn running(&self) -> Grant {
        let id = self.created().await;
        self.claim(id, "w1").await.expect("a created task is granted")
    }

    /// Claims a task by id under a new claim id.
    pub(crate) async fn claim(&self, id: TaskId, worker: &str) -> Option<Grant> {
        self.claim_with(claim_by(id, worker)).await
    }

    pub(crate) async fn claim_with(&self, claim: ClaimById) -> Option<Grant> {
        let mut granted: Vec<Granted> = self.store.claim_by_id(&[claim]).await.unwrap();
        assert!(granted.len() <= 1, "one claim and more than one grant: {granted:?}");
        granted.pop().map(|granted| granted.grant)
    }

    pub(crate) async fn report(&self, grant: &Grant, reported: AttemptOutcome) -> SettleResult {
        self.settle(&[report(grant, reported)]).await.remove(0)
    }

    /// Reports the progress of a grant in the name of the worker `w1`.
    pub(crate) async fn report_progress(&self, grant: &Grant, percent: u32) {
        let Grant { id, attempt, claim, .. } = *grant;
        let report = ProgressReport { id, attempt, claim, percent, message: None };
        let by = AttributedProgress { worker: worker("w1"), subject: SUBJECT, report };
        assert_eq!(self.store.store_progress(&[by]).await.unwrap(), [id]);
    }

    /// Settles reports in the name of the worker `w1`.
    pub(crate) async fn settle(&self, reports: &[Report]) -> Vec<SettleResult> {
        let reports: Vec<AttributedReport> =
            reports.iter().map(|report| attributed("w1", report.clone())).collect();
        self.store.settle(&reports).await.unwrap()
    }

    pub(crate) async fn task(&self, id: TaskId) -> Task {
        self.store.get(ANN, id).await.unwrap().expect("the task is Ann's")
    }

    pub(crate) async fn status(&self, id: TaskId) -> Status {
        self.task(id).await.status
    }

    /// The result that Ann reads.
    pub(crate) async fn result(&self, id: TaskId) -> Option<String> {
        let ending = self.store.result(ANN, id).await.unwrap().expect("the task is Ann's");
        ending.result.map(String::from)
    }
}

pub(crate) fn kind(name: &str) -> TypeName {
    name.parse().unwrap()
}

pub(crate) fn worker(name: &str) -> WorkerName {
    name.parse().unwrap()
}

pub(crate) fn json(text: &str) -> RawJson {
    RawJson::parse(text.to_owned()).unwrap()
}

pub(crate) fn millis(millis: u64) -> Ttl {
    Ttl::try_from(millis).unwrap()
}

/// The one process of a worker.
pub(crate) fn process(name: &str) -> WorkerProcess {
    WorkerProcess { name: worker(name), subject: SUBJECT, instance: INSTANCE }
}

/// Who holds the grants of [`process`].
pub(crate) fn grant_worker(name: &str) -> GrantWorker {
    GrantWorker { worker: worker(name), subject: SUBJECT }
}

/// A report in the name of a worker of the subject of all workers.
pub(crate) fn attributed(name: &str, report: Report) -> AttributedReport {
    AttributedReport { worker: worker(name), subject: Some(SUBJECT), report }
}

/// A claim for a task under a new claim id.
pub(crate) fn claim_by(id: TaskId, name: &str) -> ClaimById {
    ClaimById { id, claim: ClaimId::random(), worker: process(name), by_name: false }
}

pub(crate) fn report(grant: &Grant, reported: AttemptOutcome) -> Report {
    let Grant { id, attempt, claim, .. } = *grant;
    Report { id, type_name: grant.type_name.clone(), attempt, claim, reported, retry: None, trace: None }
}

pub(crate) fn result(text: &str) -> AttemptOutcome {
    AttemptOutcome::Result(json(text))
}

pub(crate) fn failure(text: &str) -> AttemptOutcome {
    AttemptOutcome::Error(text.to_owned())
}
