-- Who may ask. An account is a User; `role` says what a proof has made of it beyond that.
create table account (
    id       blob   primary key,
    name     text   not null,
    folded   text   not null unique,              -- the name in lower case: one account whatever the case
    password text   not null,                     -- a PHC string
    role     text   not null check (role in ('User', 'Worker', 'Admin')),
    origin   text   not null check (origin in ('open', 'admin', 'setup', 'invitation', 'operator')),
    proof    blob   unique,                       -- what made it: a proof makes one account
    created  integer not null,
    disabled integer
);

-- However many setup links are used at once, one account is the first administrator.
create unique index account_founder on account (origin) where origin = 'setup';

-- A setup link or an invitation; what is stored is its digest. It is spent when an account names it.
create table proof (
    digest  blob   primary key,
    kind    text   not null check (kind in ('setup', 'invitation')),
    role    text   not null check (role in ('User', 'Worker', 'Admin')),
    made    integer not null,
    made_by blob,
    expires integer not null
);

-- A browser that has signed in; what is stored is the cookie's digest.
create table session (
    digest  blob   primary key,
    account blob   not null references account (id) on delete cascade,
    started integer not null,
    seen    integer not null
);

create index session_account on session (account);

-- Wrong passwords in a row, per account. The row of no account (all zeros) takes those of unknown names.
create table misses (
    account blob   primary key,
    count   integer not null,
    last    integer not null
);

-- What an address has used of its allowance, as the instant at which it will be whole again.
create table allowance (
    bucket   text   primary key,
    whole_at integer not null
);

-- Signing keys, sealed. They sign from `signs_from` until the next generation does.
create table signing_key (
    generation integer primary key,
    kid        text   not null unique,
    sealed     blob   not null,
    signs_from integer not null
);
