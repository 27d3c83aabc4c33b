-- Instants are microseconds since 1970, lives are milliseconds. Tests replace this function: it is the clock they set.
create function now_us() returns bigint language sql stable parallel safe
as $$ select (extract(epoch from statement_timestamp()) * 1000000)::bigint $$;

-- What was asked. Written once, never updated.
create table task (
    id           uuid   primary key,
    owner        uuid   not null,
    type         text   not null,
    queue        text   not null,
    parameters   text,
    ttl          bigint not null check (ttl > 0),
    start_within bigint not null check (start_within > 0),
    created      bigint not null
);
create index task_owner on task (owner, id);

-- What has not ended. The only table that churns, as small as the unfinished work.
create table live (
    id       uuid     primary key,
    owner    uuid     not null,
    type     text     not null,
    queue    text     not null,
    phase    smallint not null,           -- 1 ready, 2 running
    priority smallint not null default 0, -- 0 until a submission can name another
    place    bigint   not null,           -- when it became ready
    due      bigint   not null,           -- the end of startWithin while ready, the deadline while running
    attempt  integer  not null,
    claim    uuid,
    worker   text,
    started  bigint,
    check (phase = 1 and claim is null or phase = 2 and claim is not null and worker is not null and started is not null)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
create index live_ready on live (type, priority, place) where phase = 1;
create index live_due on live (due);
create index live_claim on live (worker, claim) where phase = 2;

-- What came of it. Written once, in the statement that deletes the `live` row; never updated.
create table outcome (
    id      uuid    primary key,
    owner   uuid    not null,
    type    text    not null,
    status  text    not null check (status in ('FINISHED', 'CANCELLED')),
    reason  text,
    attempt integer not null,
    started bigint,
    ended   bigint  not null,
    ttl     bigint,
    worker  text,
    result  text,
    error   text,
    check ((status = 'CANCELLED') = (reason is not null)),
    check ((status = 'FINISHED') = (result is not null)),
    check (status <> 'FINISHED' or started is not null and ttl is not null
        and started <= ended and ended <= started + ttl * 1000)
);
create index outcome_owner on outcome (owner, status, id);

-- What may be asked for; a registered version never changes.
create table operation (
    type    text    not null,
    version integer not null,
    spec    text    not null,
    primary key (type, version)
);

-- Who has sent heartbeats. One row a worker, however many tasks it runs.
create table worker (
    name  text    primary key,
    slots integer not null,
    types text    not null,
    seen  bigint  not null
);
