-- Instants are microseconds since 1970 (columns *_at), durations are milliseconds (columns *_ms).

-- The current time in microseconds. Tests replace this function by one that reads the clock they set.
create function now_us() returns bigint language sql stable parallel safe
as $$ select (extract(epoch from statement_timestamp()) * 1000000)::bigint $$;

-- Submissions. A row is inserted once. It is updated only if results of other tasks become members of the parameters: once, when they
-- have all finished.
create table task (
    id              uuid   primary key,
    owner           uuid   not null,
    type            text   not null,
    queue           text   not null,
    parameters      text,
    ttl_ms          bigint not null check (ttl_ms > 0),
    start_within_ms bigint not null check (start_within_ms > 0),
    created_at      bigint not null,
    not_before_at   bigint, -- when it becomes ready, if that is after its submission
    traceparent     text,  -- the trace that the task belongs to (W3C Trace Context); null: none
    options         text   -- what only few submissions say, as JSON: retries and the like; null: nothing
);
create index task_owner on task (owner, id);

-- The labels of tasks, to find the tasks of an owner by: a row for each label, beside those in task.options.
create table task_label (
    owner uuid not null,
    key   text collate "C" not null,
    value text collate "C" not null,
    id    uuid not null, -- of the task
    primary key (owner, key, value, id)
);

-- Tasks that have not ended. The only table whose rows are updated and deleted; it is as small as the unfinished work.
create table unfinished_task (
    id         uuid     primary key,
    owner      uuid     not null,
    type       text     not null,
    queue      text     not null,
    phase      smallint not null,           -- -1 blocked (waits for other tasks), 0 delayed (not ready yet), 1 ready, 2 running
    priority   smallint not null,           -- 0 to 9, the highest first
    ready_at   bigint   not null,           -- when it became ready; while delayed: when it becomes ready; while blocked: has no meaning
    due_at     bigint   not null,           -- the end of startWithin until it runs, then the deadline; while blocked: the greatest number
    attempt    integer  not null,           -- how often it has been granted
    claim      uuid,
    worker     text,
    subject    uuid,                        -- whose worker has run it last: the account or client of the claim's token
    instance   uuid,                        -- the worker's process; all zeros: the claim named none
    started_at bigint,
    retries_left  smallint not null,        -- how many more attempts it may have after one that fails
    backoff_ms    bigint,                   -- the pause after the next attempt that fails; null: it has no further one
    budget_end_at bigint,                   -- when the time for all attempts together is over; null: not limited, or not started
    check (phase in (-1, 0, 1) and claim is null
        or phase = 2 and claim is not null and worker is not null and subject is not null and instance is not null
            and started_at is not null)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
create index unfinished_task_delayed on unfinished_task (ready_at) where phase = 0;
create index unfinished_task_ready on unfinished_task (type, priority, ready_at) where phase = 1;
create index unfinished_task_due on unfinished_task (due_at);
create index unfinished_task_owner on unfinished_task (owner, id);
create index unfinished_task_claim on unfinished_task (worker, claim) where phase = 2;

-- What blocked tasks wait for. The rows of a task are deleted when it is not blocked any more, or some time after it has ended.
create table dependency (
    id     uuid not null, -- of the blocked task
    parent uuid not null, -- the task that must finish
    primary key (id, parent)
);
create index dependency_parent on dependency (parent, id);

-- Attempts that ended without ending their task: it was tried again, or released by its worker. A row is inserted once and never updated.
create table attempt (
    id         uuid    not null, -- of the task
    attempt    integer not null,
    worker     text    not null,
    started_at bigint  not null,
    ended_at   bigint  not null,
    due_at     bigint  not null, -- its deadline
    reason     text,             -- null: released
    error      text,
    primary key (id, attempt)
);

-- When the work of attempts that ended without a report has stopped, as their workers say. A row is inserted once and never updated.
create table attempt_stop (
    id         uuid    not null, -- of the task
    attempt    integer not null,
    stopped_at bigint  not null,
    primary key (id, attempt)
);

-- How tasks ended. A row is inserted by the statement that deletes the row of unfinished_task, and never updated.
create table outcome (
    id         uuid    primary key,
    owner      uuid    not null,
    type       text    not null,
    status     text    not null check (status in ('FINISHED', 'CANCELLED')),
    reason     text,
    attempt    integer not null,
    started_at bigint,
    ended_at   bigint  not null,
    ttl_ms     bigint,
    worker     text,
    subject    uuid,   -- whose worker has run it last
    cancelled_by uuid, -- the administrator who cancelled it; null: its owner did, or nobody
    result     text,
    error      text,
    check ((status = 'CANCELLED') = (reason is not null)),
    check ((status = 'FINISHED') = (result is not null)),
    check (status <> 'FINISHED' or started_at is not null and ttl_ms is not null
        and started_at <= ended_at and ended_at <= started_at + ttl_ms * 1000)
);
create index outcome_owner on outcome (owner, status, id);

-- Submissions with an idempotency key, until they are forgotten. A row is inserted by the statement that inserts the tasks, and
-- never updated.
create table idempotency (
    owner        uuid   not null,
    key_hash     uuid   not null, -- of the owner and the key
    content_hash uuid   not null, -- of what was submitted under the key
    tasks        text   not null, -- the ids of the tasks, a JSON array
    created_at   bigint not null,
    primary key (owner, key_hash)
);
create index idempotency_created on idempotency (created_at);

-- What operations have reported last of their progress: one row for each task of which there was a report. It counts for its attempt,
-- and is deleted with the task.
create table progress (
    id          uuid     primary key,
    attempt     integer  not null,
    percent     smallint not null check (percent between 0 and 100),
    message     text,
    reported_at bigint   not null
);

-- The id of this installation, in every Kafka message: one row. A copy of the database that runs beside the original needs an id of
-- its own.
create table installation (
    id uuid primary key
);
insert into installation (id) values (gen_random_uuid());

-- The types of operations, and who registered each first. A removed type keeps its row: tasks of it may still be unfinished.
create table operation_type (
    type       text    primary key,
    subject    uuid, -- an account or client; null: Tasker itself
    is_removed boolean not null default false
);
create index operation_type_subject on operation_type (subject);

-- Operations that workers have registered. A registered version never changes; it may be removed.
create table operation (
    type    text    not null,
    version integer not null,
    queue   text    not null,
    spec    text    not null, -- the definition, as JSON
    primary key (type, version)
);

-- The last heartbeat of each worker, and to whom its name belongs until the worker has stopped or is lost.
create table worker (
    name               text    primary key,
    subject            uuid    not null, -- the account or client of the heartbeat's token
    instance           uuid    not null, -- the process
    slots              integer not null,
    types              text    not null, -- a JSON array
    stop_means         text    not null, -- a JSON array
    first_heartbeat_at bigint  not null, -- of this process
    last_heartbeat_at  bigint  not null,
    is_lost            boolean not null default false
);
create index worker_subject on worker (subject);

-- Schedules: tasks that are submitted again and again. A run moves next_at on in the transaction that inserts its task.
create table schedule (
    owner         uuid    not null,
    name          text    not null,
    created_at    bigint  not null,
    revision      integer not null, -- raised by each change but those that a run makes
    cron          text,
    time_zone     text,             -- of cron
    every_ms      bigint,
    anchor_at     bigint  not null, -- every_ms counts from then
    missed        text    not null check (missed in ('skip', 'one', 'all')),
    overlap       text    not null check (overlap in ('allow', 'skip')),
    type          text    not null,
    task          text    not null, -- the submission, as JSON
    is_paused     boolean not null default false,
    next_at       bigint,           -- the next run; null: none, or paused
    last_task     uuid,
    last_for_at   bigint,           -- the time for which last_task was submitted
    last_error    text,
    last_error_at bigint,
    primary key (owner, name),
    check ((cron is null) = (time_zone is null) and (cron is null) <> (every_ms is null))
);
create index schedule_next on schedule (next_at) where next_at is not null;

-- Whether tasks may be granted under a claim: no other statement is granting under it at this moment, and nothing runs
-- under it. A volatile function, because its second query must see what was committed before the lock was free: the
-- statement that calls the function may have an older snapshot.
create function claim_is_free(worker_name text, claim_id uuid) returns boolean language plpgsql volatile as $$
begin
    if not pg_try_advisory_xact_lock(hashtextextended(claim_id::text, 0)) then
        return false;
    end if;
    return not exists (
        select 1 from unfinished_task u
        where u.worker = worker_name and u.claim = claim_id and u.phase = 2 and u.due_at >= now_us());
end
$$;

-- Every task with its status, for people; Tasker does not read it. The deadline and ran_seconds belong to the last attempt,
-- waited_seconds lasts from the submission to its start. Of a task that has not ended, durations are counted to now.
create view tasker_tasks as
select t.id, t.owner, t.type,
    coalesce(o.status, case u.phase when 2 then 'RUNNING' else 'CREATED' end) as status,
    o.reason,
    coalesce(o.attempt, u.attempt) as attempt,
    coalesce(o.worker, u.worker) as worker,
    t.options::json->'labels' as labels,
    timestamptz 'epoch' + t.created_at * interval '1 microsecond' as created_at,
    timestamptz 'epoch' + coalesce(o.started_at, u.started_at) * interval '1 microsecond' as started_at,
    timestamptz 'epoch' + o.ended_at * interval '1 microsecond' as ended_at,
    timestamptz 'epoch' + coalesce(o.started_at + o.ttl_ms * 1000, case u.phase when 2 then u.due_at end)
        * interval '1 microsecond' as deadline,
    round(t.ttl_ms / 1000.0, 3) as ttl_seconds,
    round((coalesce(o.started_at, u.started_at, o.ended_at, now_us()) - t.created_at) / 1000000.0, 3) as waited_seconds,
    round((coalesce(o.ended_at, now_us()) - coalesce(o.started_at, u.started_at)) / 1000000.0, 3) as ran_seconds
from task t left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id;
