CREATE TABLE attempt (
    id         blob    not null, -- of the task
    attempt    integer not null,
    worker     text    not null,
    started_at integer not null,
    ended_at   integer not null,
    due_at     integer not null, -- its deadline
    reason     text,             -- null: released
    error      text,
    primary key (id, attempt)
) strict, without rowid;

CREATE TABLE attempt_stop (
    id         blob    not null, -- of the task
    attempt    integer not null,
    stopped_at integer not null,
    primary key (id, attempt)
) strict, without rowid;

CREATE TABLE dependency (
    id     blob not null, -- of the blocked task
    parent blob not null, -- the task that must finish
    primary key (id, parent)
) strict, without rowid;

CREATE INDEX dependency_parent on dependency (parent, id);

CREATE TABLE idempotency (
    owner        blob    not null,
    key_hash     blob    not null, -- of the owner and the key
    content_hash blob    not null, -- of what was submitted under the key
    tasks        text    not null, -- the ids of the tasks, a JSON array
    created_at   integer not null,
    primary key (owner, key_hash)
) strict, without rowid;

CREATE INDEX idempotency_created on idempotency (created_at);

CREATE TABLE installation (
    id blob primary key
) strict;

CREATE TABLE operation (
    type    text    not null,
    version integer not null,
    queue   text    not null,
    spec    text    not null, -- the definition, as JSON
    primary key (type, version)
) strict;

CREATE TABLE operation_type (
    type       text    primary key,
    subject    blob, -- an account or client; null: Tasker itself
    is_removed integer not null default 0 check (is_removed in (0, 1))
) strict;

CREATE INDEX operation_type_subject on operation_type (subject);

CREATE TABLE outcome (
    id         blob    primary key,
    owner      blob    not null,
    type       text    not null,
    status     text    not null check (status in ('FINISHED', 'CANCELLED')),
    reason     text,
    attempt    integer not null,
    started_at integer,
    ended_at   integer not null,
    ttl_ms     integer,
    worker     text,
    subject    blob,    -- whose worker has run it last
    cancelled_by blob, -- the administrator who cancelled it; null: its owner did, or nobody
    result     text,
    error      text,
    check ((status = 'CANCELLED') = (reason is not null)),
    check ((status = 'FINISHED') = (result is not null)),
    check (status <> 'FINISHED' or started_at is not null and ttl_ms is not null
        and started_at <= ended_at and ended_at <= started_at + ttl_ms * 1000)
) strict;

CREATE INDEX outcome_owner on outcome (owner, status, id);

CREATE TABLE progress (
    id          blob     primary key,
    attempt     integer  not null,
    percent     integer  not null check (percent between 0 and 100),
    message     text,
    reported_at integer  not null
) strict;

CREATE TABLE readiness (part text primary key, checked_at text not null);

CREATE TABLE schedule (
    owner         blob    not null,
    name          text    not null,
    created_at    integer not null,
    revision      integer not null, -- raised by each change but those that a run makes
    cron          text,
    time_zone     text,             -- of cron
    every_ms      integer,
    anchor_at     integer not null, -- every_ms counts from then
    missed        text    not null check (missed in ('skip', 'one', 'all')),
    overlap       text    not null check (overlap in ('allow', 'skip')),
    type          text    not null,
    task          text    not null, -- the submission, as JSON
    is_paused     integer not null default 0 check (is_paused in (0, 1)),
    next_at       integer,          -- the next run; null: none, or paused
    last_task     blob,
    last_for_at   integer,          -- the time for which last_task was submitted
    last_error    text,
    last_error_at integer,
    primary key (owner, name),
    check ((cron is null) = (time_zone is null) and (cron is null) <> (every_ms is null))
) strict;

CREATE INDEX schedule_next on schedule (next_at) where next_at is not null;

CREATE TABLE schema_version (part text primary key, version bigint not null, oldest bigint not null);

CREATE TABLE task (
    id              blob    primary key,
    owner           blob    not null,
    type            text    not null,
    queue           text    not null,
    parameters      text,
    ttl_ms          integer not null check (ttl_ms > 0),
    start_within_ms integer not null check (start_within_ms > 0),
    created_at      integer not null,
    not_before_at   integer, -- when it becomes ready, if that is after its submission
    traceparent     text,   -- the trace that the task belongs to (W3C Trace Context); null: none
    options         text    -- what only few submissions say, as JSON: retries and the like; null: nothing
) strict;

CREATE INDEX task_owner on task (owner, id);

CREATE TABLE task_label (
    owner blob not null,
    key   text not null,
    value text not null,
    id    blob not null, -- of the task
    primary key (owner, key, value, id)
) strict, without rowid;

CREATE VIEW tasker_tasks as
select
    lower(substr(hex(t.id), 1, 8) || '-' || substr(hex(t.id), 9, 4) || '-' || substr(hex(t.id), 13, 4) || '-'
        || substr(hex(t.id), 17, 4) || '-' || substr(hex(t.id), 21)) as id,
    lower(substr(hex(t.owner), 1, 8) || '-' || substr(hex(t.owner), 9, 4) || '-' || substr(hex(t.owner), 13, 4) || '-'
        || substr(hex(t.owner), 17, 4) || '-' || substr(hex(t.owner), 21)) as owner,
    t.type,
    coalesce(o.status, case u.phase when 2 then 'RUNNING' else 'CREATED' end) as status,
    o.reason,
    coalesce(o.attempt, u.attempt) as attempt,
    coalesce(o.worker, u.worker) as worker,
    t.options->'labels' as labels,
    strftime('%Y-%m-%dT%H:%M:%fZ', t.created_at / 1000000.0, 'unixepoch') as created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(o.started_at, u.started_at) / 1000000.0, 'unixepoch') as started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', o.ended_at / 1000000.0, 'unixepoch') as ended_at,
    strftime('%Y-%m-%dT%H:%M:%fZ',
        coalesce(o.started_at + o.ttl_ms * 1000, case u.phase when 2 then u.due_at end) / 1000000.0, 'unixepoch') as deadline,
    round(t.ttl_ms / 1000.0, 3) as ttl_seconds,
    round((coalesce(o.started_at, u.started_at, o.ended_at, (julianday('now') - 2440587.5) * 86400000000) - t.created_at)
        / 1000000.0, 3) as waited_seconds,
    round((coalesce(o.ended_at, (julianday('now') - 2440587.5) * 86400000000) - coalesce(o.started_at, u.started_at))
        / 1000000.0, 3) as ran_seconds
from task t left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id;

CREATE TABLE unfinished_task (
    id         blob    primary key,
    owner      blob    not null,
    type       text    not null,
    queue      text    not null,
    phase      integer not null,           -- -1 blocked (waits for other tasks), 0 delayed (not ready yet), 1 ready, 2 running
    priority   integer not null,           -- 0 to 9, the highest first
    ready_at   integer not null,           -- when it became ready; while delayed: when it becomes ready; while blocked: has no meaning
    due_at     integer not null,           -- the end of startWithin until it runs, then the deadline; while blocked: the greatest number
    attempt    integer not null,           -- how often it has been granted
    claim      blob,
    worker     text,
    subject    blob,                       -- whose worker has run it last: the account or client of the claim's token
    instance   blob,                       -- the worker's process; all zeros: the claim named none
    started_at integer,
    retries_left  integer not null,        -- how many more attempts it may have after one that fails
    backoff_ms    integer,                 -- the pause after the next attempt that fails; null: it has no further one
    budget_end_at integer,                 -- when the time for all attempts together is over; null: not limited, or not started
    check (phase in (-1, 0, 1) and claim is null
        or phase = 2 and claim is not null and worker is not null and subject is not null and instance is not null
            and started_at is not null)
) strict, without rowid;

CREATE INDEX unfinished_task_claim on unfinished_task (worker, claim) where phase = 2;

CREATE INDEX unfinished_task_delayed on unfinished_task (ready_at) where phase = 0;

CREATE INDEX unfinished_task_due on unfinished_task (due_at);

CREATE INDEX unfinished_task_owner on unfinished_task (owner, id);

CREATE INDEX unfinished_task_ready on unfinished_task (type, priority, ready_at) where phase = 1;

CREATE TABLE worker (
    name               text    primary key,
    subject            blob    not null, -- the account or client of the heartbeat's token
    instance           blob    not null, -- the process
    slots              integer not null,
    types              text    not null, -- a JSON array
    stop_means         text    not null, -- a JSON array
    first_heartbeat_at integer not null, -- of this process
    last_heartbeat_at  integer not null,
    is_lost            integer not null default 0 check (is_lost in (0, 1))
) strict;

CREATE INDEX worker_subject on worker (subject);
