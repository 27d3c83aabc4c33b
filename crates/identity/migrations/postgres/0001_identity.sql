-- Who may ask. An account is a User; `role` says what a proof has made of it beyond that.
create table account (
    id       uuid   primary key,
    name     text   not null,
    folded   text   not null unique,              -- the name in lower case: one account whatever the case
    password text   not null,                     -- a PHC string
    role     text   not null check (role in ('User', 'Worker', 'Admin')),
    origin   text   not null check (origin in ('open', 'admin', 'setup', 'invitation', 'operator')),
    proof    bytea  unique,                       -- what made it: a proof makes one account
    created  bigint not null,
    disabled bigint
);

-- However many setup links are used at once, one account is the first administrator.
create unique index account_founder on account (origin) where origin = 'setup';

-- A setup link or an invitation; what is stored is its digest. It is spent when an account names it.
create table proof (
    digest  bytea  primary key,
    kind    text   not null check (kind in ('setup', 'invitation')),
    role    text   not null check (role in ('User', 'Worker', 'Admin')),
    made    bigint not null,
    made_by uuid,
    expires bigint not null
);

-- A browser that has signed in; what is stored is the cookie's digest.
create table session (
    digest  bytea  primary key,
    account uuid   not null references account (id) on delete cascade,
    started bigint not null,
    seen    bigint not null
);

create index session_account on session (account);

-- Wrong passwords in a row, per account. The row of no account (all zeros) takes those of unknown names.
create table misses (
    account uuid   primary key,
    count   bigint not null,
    last    bigint not null
);

-- What an address has used of its allowance, as the instant at which it will be whole again.
create table allowance (
    bucket   text   primary key,
    whole_at bigint not null
);

-- Signing keys, sealed. They sign from `signs_from` until the next generation does.
create table signing_key (
    generation bigint primary key,
    kid        text   not null unique,
    sealed     bytea  not null,
    signs_from bigint not null
);
