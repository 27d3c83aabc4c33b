CREATE TABLE live (
    id       blob    primary key,
    owner    blob    not null,
    type     text    not null,
    queue    text    not null,
    phase    integer not null,           -- 1 ready, 2 running
    priority integer not null default 0, -- 0 until a submission can name another
    place    integer not null,           -- when it became ready
    due      integer not null,           -- the end of startWithin while ready, the deadline while running
    attempt  integer not null,
    claim    blob,
    worker   text,
    started  integer,
    check (phase = 1 and claim is null or phase = 2 and claim is not null and worker is not null and started is not null)
) strict, without rowid;

CREATE INDEX live_claim on live (worker, claim) where phase = 2;

CREATE INDEX live_due on live (due);

CREATE INDEX live_ready on live (type, priority, place) where phase = 1;

CREATE TABLE operation (
    type    text    not null,
    version integer not null,
    spec    text    not null,
    primary key (type, version)
) strict;

CREATE TABLE outcome (
    id      blob    primary key,
    owner   blob    not null,
    type    text    not null,
    status  text    not null check (status in ('FINISHED', 'CANCELLED')),
    reason  text,
    attempt integer not null,
    started integer,
    ended   integer not null,
    ttl     integer,
    worker  text,
    result  text,
    error   text,
    check ((status = 'CANCELLED') = (reason is not null)),
    check ((status = 'FINISHED') = (result is not null)),
    check (status <> 'FINISHED' or started is not null and ttl is not null
        and started <= ended and ended <= started + ttl * 1000)
) strict;

CREATE INDEX outcome_owner on outcome (owner, status, id);

CREATE TABLE schema_version (part text primary key, version bigint not null, oldest bigint not null);

CREATE TABLE task (
    id           blob    primary key,
    owner        blob    not null,
    type         text    not null,
    queue        text    not null,
    parameters   text,
    ttl          integer not null check (ttl > 0),
    start_within integer not null check (start_within > 0),
    created      integer not null
, trace text) strict;

CREATE INDEX task_owner on task (owner, id);

CREATE TABLE worker (
    name  text    primary key,
    slots integer not null,
    types text    not null,
    seen  integer not null
) strict;
