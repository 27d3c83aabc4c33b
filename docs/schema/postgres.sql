-- attempt
id             uuid not null
attempt        integer not null
worker         text not null
started_at     bigint not null
ended_at       bigint not null
due_at         bigint not null
reason         text
error          text
PRIMARY KEY (id, attempt)
CREATE UNIQUE INDEX attempt_pkey ON public.attempt USING btree (id, attempt)

-- attempt_stop
id             uuid not null
attempt        integer not null
stopped_at     bigint not null
PRIMARY KEY (id, attempt)
CREATE UNIQUE INDEX attempt_stop_pkey ON public.attempt_stop USING btree (id, attempt)

-- dependency
id             uuid not null
parent         uuid not null
PRIMARY KEY (id, parent)
CREATE INDEX dependency_parent ON public.dependency USING btree (parent, id)
CREATE UNIQUE INDEX dependency_pkey ON public.dependency USING btree (id, parent)

-- idempotency
owner          uuid not null
key_hash       uuid not null
content_hash   uuid not null
tasks          text not null
created_at     bigint not null
PRIMARY KEY (owner, key_hash)
CREATE INDEX idempotency_created ON public.idempotency USING btree (created_at)
CREATE UNIQUE INDEX idempotency_pkey ON public.idempotency USING btree (owner, key_hash)

-- installation
id             uuid not null
PRIMARY KEY (id)
CREATE UNIQUE INDEX installation_pkey ON public.installation USING btree (id)

-- operation
type           text not null
version        integer not null
queue          text not null
spec           text not null
PRIMARY KEY (type, version)
CREATE UNIQUE INDEX operation_pkey ON public.operation USING btree (type, version)

-- operation_type
type           text not null
subject        uuid
is_removed     boolean not null default false
PRIMARY KEY (type)
CREATE UNIQUE INDEX operation_type_pkey ON public.operation_type USING btree (type)
CREATE INDEX operation_type_subject ON public.operation_type USING btree (subject)

-- outcome
id             uuid not null
owner          uuid not null
type           text not null
status         text not null
reason         text
attempt        integer not null
started_at     bigint
ended_at       bigint not null
ttl_ms         bigint
worker         text
subject        uuid
cancelled_by   uuid
result         text
error          text
CHECK (((status = 'CANCELLED'::text) = (reason IS NOT NULL)))
CHECK (((status = 'FINISHED'::text) = (result IS NOT NULL)))
CHECK (((status <> 'FINISHED'::text) OR ((started_at IS NOT NULL) AND (ttl_ms IS NOT NULL) AND (started_at <= ended_at) AND (ended_at <= (started_at + (ttl_ms * 1000))))))
CHECK ((status = ANY (ARRAY['FINISHED'::text, 'CANCELLED'::text])))
PRIMARY KEY (id)
CREATE INDEX outcome_owner ON public.outcome USING btree (owner, status, id)
CREATE UNIQUE INDEX outcome_pkey ON public.outcome USING btree (id)

-- progress
id             uuid not null
attempt        integer not null
percent        smallint not null
message        text
reported_at    bigint not null
CHECK (((percent >= 0) AND (percent <= 100)))
PRIMARY KEY (id)
CREATE UNIQUE INDEX progress_pkey ON public.progress USING btree (id)

-- readiness
part           text not null
checked_at     text not null
PRIMARY KEY (part)
CREATE UNIQUE INDEX readiness_pkey ON public.readiness USING btree (part)

-- schedule
owner          uuid not null
name           text not null
created_at     bigint not null
revision       integer not null
cron           text
time_zone      text
every_ms       bigint
anchor_at      bigint not null
missed         text not null
overlap        text not null
type           text not null
task           text not null
is_paused      boolean not null default false
next_at        bigint
last_task      uuid
last_for_at    bigint
last_error     text
last_error_at  bigint
CHECK ((((cron IS NULL) = (time_zone IS NULL)) AND ((cron IS NULL) <> (every_ms IS NULL))))
CHECK ((missed = ANY (ARRAY['skip'::text, 'one'::text, 'all'::text])))
CHECK ((overlap = ANY (ARRAY['allow'::text, 'skip'::text])))
PRIMARY KEY (owner, name)
CREATE INDEX schedule_next ON public.schedule USING btree (next_at) WHERE (next_at IS NOT NULL)
CREATE UNIQUE INDEX schedule_pkey ON public.schedule USING btree (owner, name)

-- schema_version
part           text not null
version        bigint not null
oldest         bigint not null
PRIMARY KEY (part)
CREATE UNIQUE INDEX schema_version_pkey ON public.schema_version USING btree (part)

-- task
id             uuid not null
owner          uuid not null
type           text not null
queue          text not null
parameters     text
ttl_ms         bigint not null
start_within_ms bigint not null
created_at     bigint not null
not_before_at  bigint
traceparent    text
options        text
CHECK ((start_within_ms > 0))
CHECK ((ttl_ms > 0))
PRIMARY KEY (id)
CREATE INDEX task_owner ON public.task USING btree (owner, id)
CREATE UNIQUE INDEX task_pkey ON public.task USING btree (id)

-- task_label
owner          uuid not null
key            text not null
value          text not null
id             uuid not null
PRIMARY KEY (owner, key, value, id)
CREATE UNIQUE INDEX task_label_pkey ON public.task_label USING btree (owner, key, value, id)

-- tasker_tasks
id             uuid
owner          uuid
type           text
status         text
reason         text
attempt        integer
worker         text
labels         json
created_at     timestamp with time zone
started_at     timestamp with time zone
ended_at       timestamp with time zone
deadline       timestamp with time zone
ttl_seconds    numeric
waited_seconds numeric
ran_seconds    numeric
 SELECT t.id,
    t.owner,
    t.type,
    COALESCE(o.status,
        CASE u.phase
            WHEN 2 THEN 'RUNNING'::text
            ELSE 'CREATED'::text
        END) AS status,
    o.reason,
    COALESCE(o.attempt, u.attempt) AS attempt,
    COALESCE(o.worker, u.worker) AS worker,
    t.options::json -> 'labels'::text AS labels,
    '1970-01-01 00:00:00+00'::timestamp with time zone + t.created_at::double precision * '00:00:00.000001'::interval AS created_at,
    '1970-01-01 00:00:00+00'::timestamp with time zone + COALESCE(o.started_at, u.started_at)::double precision * '00:00:00.000001'::interval AS started_at,
    '1970-01-01 00:00:00+00'::timestamp with time zone + o.ended_at::double precision * '00:00:00.000001'::interval AS ended_at,
    '1970-01-01 00:00:00+00'::timestamp with time zone + COALESCE(o.started_at + o.ttl_ms * 1000,
        CASE u.phase
            WHEN 2 THEN u.due_at
            ELSE NULL::bigint
        END)::double precision * '00:00:00.000001'::interval AS deadline,
    round(t.ttl_ms::numeric / 1000.0, 3) AS ttl_seconds,
    round((COALESCE(o.started_at, u.started_at, o.ended_at, now_us()) - t.created_at)::numeric / 1000000.0, 3) AS waited_seconds,
    round((COALESCE(o.ended_at, now_us()) - COALESCE(o.started_at, u.started_at))::numeric / 1000000.0, 3) AS ran_seconds
   FROM task t
     LEFT JOIN unfinished_task u ON u.id = t.id
     LEFT JOIN outcome o ON o.id = t.id;

-- unfinished_task with (fillfactor=70, autovacuum_vacuum_scale_factor=0.01, autovacuum_vacuum_threshold=1000, autovacuum_vacuum_cost_delay=0)
id             uuid not null
owner          uuid not null
type           text not null
queue          text not null
phase          smallint not null
priority       smallint not null
ready_at       bigint not null
due_at         bigint not null
attempt        integer not null
claim          uuid
worker         text
subject        uuid
instance       uuid
started_at     bigint
retries_left   smallint not null
backoff_ms     bigint
budget_end_at  bigint
CHECK ((((phase = ANY (ARRAY['-1'::integer, 0, 1])) AND (claim IS NULL)) OR ((phase = 2) AND (claim IS NOT NULL) AND (worker IS NOT NULL) AND (subject IS NOT NULL) AND (instance IS NOT NULL) AND (started_at IS NOT NULL))))
PRIMARY KEY (id)
CREATE INDEX unfinished_task_claim ON public.unfinished_task USING btree (worker, claim) WHERE (phase = 2)
CREATE INDEX unfinished_task_delayed ON public.unfinished_task USING btree (ready_at) WHERE (phase = 0)
CREATE INDEX unfinished_task_due ON public.unfinished_task USING btree (due_at)
CREATE INDEX unfinished_task_owner ON public.unfinished_task USING btree (owner, id)
CREATE UNIQUE INDEX unfinished_task_pkey ON public.unfinished_task USING btree (id)
CREATE INDEX unfinished_task_ready ON public.unfinished_task USING btree (type, priority, ready_at) WHERE (phase = 1)

-- worker
name           text not null
subject        uuid not null
instance       uuid not null
slots          integer not null
types          text not null
stop_means     text not null
first_heartbeat_at bigint not null
last_heartbeat_at bigint not null
is_lost        boolean not null default false
PRIMARY KEY (name)
CREATE UNIQUE INDEX worker_pkey ON public.worker USING btree (name)
CREATE INDEX worker_subject ON public.worker USING btree (subject)
