//! What lists, counts, submissions and claims cost among a million ended, a hundred thousand waiting and ten thousand delayed tasks of one
//! owner.
//!
//! `scripts/with-postgres cargo bench --workspace --bench lists` fills a database of each kind and prints how long each request takes, and by
//! how much the memory of the process has grown at most. Submissions and claims are measured in turn with those of an empty database.
//! `TASKER_BENCH_TASKS=11100` makes it smaller.
#![expect(clippy::unwrap_used, reason = "a measurement that fails ends with a panic that names the line")]
#![expect(clippy::print_stdout, reason = "the table is the output")]
#![expect(clippy::cast_precision_loss, reason = "the figures are rounded when printed")]
#![expect(clippy::disallowed_methods, reason = "an environment variable says how many tasks there are")]

use std::fs;
use std::time::{Duration, Instant};

use database::{Db, ProcessClock};
use domain::{
    ClaimId, InstanceId, NotBefore, OwnerId, PageRequest, Status, SubjectId, Submission, TaskFilter,
    TaskOptions, TaskOrder, Ttl, WorkerProcess,
};
use sqlx::{AssertSqlSafe, Executor};
use store::{PullRequest, Store};
use testkit::TestDatabase;
use uuid::Uuid;

/// The owner of every task.
const OWNER: OwnerId = OwnerId(Uuid::from_u128(0xA));

/// How often submissions and claims are measured, each time so many batches of so many tasks.
const ROUNDS: usize = 20;
const BATCHES: usize = 40;
const BATCH: usize = 50;

/// The statements that insert `tasks` tasks: of 111 ten wait, one is delayed, and the others have ended. Every 100,000th has the type RARE
/// and the label `run:rare`, and if it has ended it is CANCELLED; every second has the label `team:payments`.
fn fill(is_postgres: bool, tasks: u32) -> [String; 5] {
    let (numbers, id, owner, labels) = if is_postgres {
        (
            format!("generate_series(1, {tasks}) as numbers (n)"),
            "(lpad(to_hex(1700000000000 + n), 12, '0') || '70008000000000000000')::uuid",
            "'00000000-0000-0000-0000-00000000000a'::uuid",
            "json_each_text(t.options::json->'labels') l",
        )
    } else {
        (
            format!(
                "(with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < {tasks}) select n from numbers)"
            ),
            "unhex(printf('%012x', 1700000000000 + n) || '70008000000000000000')",
            "x'0000000000000000000000000000000a'",
            "json_each(t.options, '$.labels') l",
        )
    };
    [
        format!(
            "insert into task (id, owner, type, queue, ttl_ms, start_within_ms, created_at, options)
            select {id}, {owner}, case when n % 100000 = 1 then 'RARE' else 'ECHO' end, 'default', 5000, 5000, n * 1000,
                case when n % 100000 = 1 then '{{\"labels\":{{\"run\":\"rare\"}}}}'
                    when n % 2 = 0 then '{{\"labels\":{{\"team\":\"payments\"}}}}' end
            from {numbers}"
        ),
        format!("insert into task_label (owner, key, value, id) select t.owner, l.key, l.value, t.id from task t, {labels} where t.options is not null"),
        "insert into outcome (id, owner, type, status, reason, attempt, started_at, ended_at, ttl_ms, worker, result)
        select id, owner, type, case type when 'RARE' then 'CANCELLED' else 'FINISHED' end,
            case type when 'RARE' then 'REQUESTED' end, 1, created_at, created_at, 5000, 'w',
            case type when 'ECHO' then '1' end
        from task where (created_at / 1000) % 111 < 100"
            .to_owned(),
        "insert into unfinished_task (id, owner, type, queue, phase, priority, ready_at, due_at, attempt, retries_left)
        select id, owner, type, queue, case (created_at / 1000) % 111 when 110 then 0 else 1 end, 4,
            case (created_at / 1000) % 111 when 110 then 8000000000000000 else created_at end, 9000000000000000, 0, 0
        from task where (created_at / 1000) % 111 >= 100"
            .to_owned(),
        if is_postgres { "vacuum analyze" } else { "pragma wal_checkpoint(truncate)" }.to_owned(),
    ]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = std::env::var("TASKER_BENCH_TASKS").map_or(1_110_000, |tasks| tasks.parse().unwrap());
    for scratch in [TestDatabase::sqlite(), TestDatabase::postgres().await] {
        let store = Store::new(scratch.open(), ProcessClock::default());
        store.migrate().await.unwrap();
        let is_postgres = matches!(scratch.open(), Db::Postgres(_));
        println!("{}, {tasks} tasks of one owner", if is_postgres { "PostgreSQL" } else { "SQLite" });
        for statement in fill(is_postgres, tasks) {
            if is_postgres {
                scratch.execute_on_postgres(&statement).await;
            } else if let Db::Sqlite(pools) = scratch.open() {
                pools.write.execute(AssertSqlSafe(statement)).await.unwrap();
                pools.write.close().await;
            }
        }
        measure_lists(&store).await;
        let empty = if is_postgres { TestDatabase::postgres().await } else { TestDatabase::sqlite() };
        let empty_store = Store::new(empty.open(), ProcessClock::default());
        empty_store.migrate().await.unwrap();
        measure_writes(&store, &empty_store).await;
        store.close().await;
        empty_store.close().await;
    }
}

/// Prints what submissions and claims cost, and what they cost in an empty database. The batches of the two databases take turns, so that
/// both see the same noise of the machine and of its disk.
async fn measure_writes(store: &Store, empty: &Store) {
    let mut batches = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for _ in 0..ROUNDS {
        for batch in 0..BATCHES {
            for (store, [submits, _]) in in_turn(batch, [store, empty], &mut batches) {
                let tasks: Vec<Submission> = (0..BATCH).map(|_| submission(store)).collect();
                let began = Instant::now();
                store.submit(&tasks).await.unwrap();
                submits.push(began.elapsed().as_secs_f64());
            }
        }
        for batch in 0..BATCHES {
            for (store, [_, claims]) in in_turn(batch, [store, empty], &mut batches) {
                let (requests, types) = ([pull()], ["ECHO".parse().unwrap()]);
                let began = Instant::now();
                let pulled = store.claim_by_type(&requests, &types, Duration::ZERO).await.unwrap();
                claims.push(began.elapsed().as_secs_f64());
                assert_eq!(pulled.granted.len(), BATCH);
            }
        }
    }
    let [full, empty] = batches.map(|of_store| of_store.map(median));
    for (name, full, empty) in [("submit", full[0], empty[0]), ("claim", full[1], empty[1])] {
        let each = |seconds: f64| seconds * 1e6 / BATCH as f64;
        println!(
            "  {name} in batches of {BATCH}: {:.1} µs each, {:.1} µs in an empty database, ratio {:.2}",
            each(full),
            each(empty),
            full / empty
        );
    }
}

/// The two stores, each with what was measured of it: every second batch the other one comes first.
fn in_turn<'a, T>(
    batch: usize,
    stores: [&'a Store; 2],
    measured: &'a mut [T; 2],
) -> Vec<(&'a Store, &'a mut T)> {
    let mut pairs: Vec<_> = stores.into_iter().zip(measured).collect();
    pairs.rotate_left(batch % 2);
    pairs
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn submission(store: &Store) -> Submission {
    Submission {
        id: store.new_task_id(),
        owner: OWNER,
        type_name: "ECHO".parse().unwrap(),
        queue: "default".parse().unwrap(),
        parameters: None,
        not_before: NotBefore::Submission,
        ttl: Ttl::try_from(3_600_000).unwrap(),
        start_within: Ttl::DEFAULT_MAX,
        trace: None,
        options: TaskOptions::default(),
    }
}

fn pull() -> PullRequest {
    let (name, subject, instance) = ("w".parse().unwrap(), SubjectId(Uuid::nil()), InstanceId::random());
    let (claim, slots) = (ClaimId::random(), u32::try_from(BATCH).unwrap());
    PullRequest { claim, worker: WorkerProcess { name, subject, instance }, slots, is_first_look: true }
}

async fn measure_lists(store: &Store) {
    let all = TaskFilter::UNFILTERED;
    let label = |text: &str| vec![text.parse().unwrap()];
    let cases = [
        ("a page", all.clone()),
        ("FINISHED", TaskFilter { status: Some(Status::Finished), ..all.clone() }),
        ("CANCELLED (rare)", TaskFilter { status: Some(Status::Cancelled), ..all.clone() }),
        ("CREATED", TaskFilter { status: Some(Status::Created), ..all.clone() }),
        ("RUNNING (none)", TaskFilter { status: Some(Status::Running), ..all.clone() }),
        ("label run:rare", TaskFilter { labels: label("run:rare"), ..all.clone() }),
        ("label team:payments", TaskFilter { labels: label("team:payments"), ..all.clone() }),
        (
            "label team:payments, CANCELLED (none)",
            TaskFilter { labels: label("team:payments"), status: Some(Status::Cancelled), ..all.clone() },
        ),
        ("type RARE", TaskFilter { type_name: "RARE".parse().ok(), ..all.clone() }),
    ];
    for order in [TaskOrder::Newest, TaskOrder::Oldest] {
        for (name, filter) in &cases {
            let page = PageRequest { order, ..PageRequest::newest(50) };
            read(store, name, filter, page, true).await;
        }
    }
    for (name, filter) in [&cases[0], &cases[7], &cases[8]] {
        read(store, &format!("whole list: {name}"), filter, PageRequest::FIRST, false).await;
    }
    for owner in [Some(OWNER), None] {
        let began = Instant::now();
        let counts = store.count(owner).await.unwrap();
        let counts: Vec<_> = counts.statuses.iter().map(|count| (count.count, count.is_exact)).collect();
        println!("  counts of {owner:?}: {:.1} ms, {counts:?}", began.elapsed().as_secs_f64() * 1000.0);
    }
}

/// Reads one page, the second time that it is asked for, or every page.
async fn read(store: &Store, name: &str, filter: &TaskFilter, page: PageRequest, is_one: bool) {
    if is_one {
        store.list(OWNER, filter, page).await.unwrap();
    }
    // Writing 5 resets the greatest resident size that the kernel remembers of this process.
    fs::write("/proc/self/clear_refs", "5").ok();
    let (before, began) = (resident("VmRSS:"), Instant::now());
    let (mut tasks, mut pages, mut next) = (0, 0, Some(page));
    while let Some(page) = next {
        let read = store.list(OWNER, filter, page).await.unwrap();
        tasks += read.tasks.len();
        pages += 1;
        next = read.next.filter(|_| !is_one).map(|next| page.next_page(next));
    }
    let (took, grown) = (began.elapsed().as_secs_f64() * 1000.0, resident("VmHWM:").saturating_sub(before));
    let order = page.order.as_str();
    println!("  {name}, {order}: {took:.1} ms, {tasks} tasks in {pages} pages, +{} MiB", grown >> 10);
}

/// A size of this process in KiB, of `/proc/self/status`.
fn resident(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
