-- live with (fillfactor=70, autovacuum_vacuum_scale_factor=0.01, autovacuum_vacuum_threshold=1000, autovacuum_vacuum_cost_delay=0)
id             uuid not null
owner          uuid not null
type           text not null
queue          text not null
phase          smallint not null
priority       smallint not null default 0
place          bigint not null
due            bigint not null
attempt        integer not null
claim          uuid
worker         text
started        bigint
CHECK ((((phase = 1) AND (claim IS NULL)) OR ((phase = 2) AND (claim IS NOT NULL) AND (worker IS NOT NULL) AND (started IS NOT NULL))))
PRIMARY KEY (id)
CREATE INDEX live_claim ON public.live USING btree (worker, claim) WHERE (phase = 2)
CREATE INDEX live_due ON public.live USING btree (due)
CREATE UNIQUE INDEX live_pkey ON public.live USING btree (id)
CREATE INDEX live_ready ON public.live USING btree (type, priority, place) WHERE (phase = 1)

-- operation
type           text not null
version        integer not null
spec           text not null
PRIMARY KEY (type, version)
CREATE UNIQUE INDEX operation_pkey ON public.operation USING btree (type, version)

-- outcome
id             uuid not null
owner          uuid not null
type           text not null
status         text not null
reason         text
attempt        integer not null
started        bigint
ended          bigint not null
ttl            bigint
worker         text
result         text
error          text
CHECK (((status = 'CANCELLED'::text) = (reason IS NOT NULL)))
CHECK (((status = 'FINISHED'::text) = (result IS NOT NULL)))
CHECK (((status <> 'FINISHED'::text) OR ((started IS NOT NULL) AND (ttl IS NOT NULL) AND (started <= ended) AND (ended <= (started + (ttl * 1000))))))
CHECK ((status = ANY (ARRAY['FINISHED'::text, 'CANCELLED'::text])))
PRIMARY KEY (id)
CREATE INDEX outcome_owner ON public.outcome USING btree (owner, status, id)
CREATE UNIQUE INDEX outcome_pkey ON public.outcome USING btree (id)

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
ttl            bigint not null
start_within   bigint not null
created        bigint not null
trace          text
CHECK ((start_within > 0))
CHECK ((ttl > 0))
PRIMARY KEY (id)
CREATE INDEX task_owner ON public.task USING btree (owner, id)
CREATE UNIQUE INDEX task_pkey ON public.task USING btree (id)

-- worker
name           text not null
slots          integer not null
types          text not null
seen           bigint not null
PRIMARY KEY (name)
CREATE UNIQUE INDEX worker_pkey ON public.worker USING btree (name)
