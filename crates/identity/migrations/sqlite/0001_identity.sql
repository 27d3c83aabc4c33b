-- Accounts and everything around them. Instants are microseconds since 1970-01-01 UTC.

-- An account. Everybody is a User; `role` says what the account may do beyond that.
create table account (
    id                 blob primary key,
    name               text not null,
    lower_name         text not null unique,     -- the name in lower case: names that differ in case only are one account
    password_hash      text not null,            -- a PHC string
    -- Whether Tasker generated the password from random bits: no lockout protects it.
    has_generated_password integer not null default 0,
    role               text not null check (role in ('User', 'Worker', 'Admin')),
    origin             text not null check (origin in ('open', 'admin', 'setup', 'invitation', 'operator')),
    registration_token blob unique,              -- the token it was registered with: each token registers one account
    created_at         integer not null,
    disabled_at        integer,
    -- The instant at which its access tokens were last revoked. A token carries the value under which it was issued.
    token_generation   integer not null default 0
);

create index account_token_generation on account (token_generation) where token_generation > 0;

-- An account that was deleted, until the last of its access tokens has expired: they are published as revoked. Its id is never used again.
create table deleted_account (
    id               blob primary key,
    token_generation integer not null       -- as in account: the instant of the deletion
);

-- However many setup links are used at once, they register one administrator.
create unique index account_first_admin on account (origin) where origin = 'setup';

-- A setup link or an invitation. It is used up when an account names it.
create table registration_token (
    digest     blob primary key,          -- SHA-256 of the token
    kind       text not null check (kind in ('setup', 'invitation')),
    role       text not null check (role in ('User', 'Worker', 'Admin')),
    created_at integer not null,
    created_by blob,                      -- the administrator who invites; null for a setup link
    inviter_generation integer,            -- the generation of the inviter's tokens then: a later one revokes the invitation
    expires_at integer not null
);

-- A browser that is signed in.
create table session (
    digest       blob primary key,        -- SHA-256 of the cookie
    account      blob not null references account (id) on delete cascade,
    token_generation integer not null,       -- as in account: the session ends when the account has a later one
    started_at   integer not null,
    last_used_at integer not null
);

create index session_account on session (account);

-- Failed sign-ins in a row, per account and source: a device, a network, or all sources that the account has not signed in from.
-- Those with unknown names are counted under the nil UUID.
create table failed_sign_in (
    account blob not null,
    source  text not null,
    count   integer not null,
    last_at integer not null,
    primary key (account, source)
);

-- The devices and networks that an account has signed in from.
create table known_source (
    account blob not null references account (id) on delete cascade,
    source  text not null,
    last_at integer not null,
    primary key (account, source)
);

-- A token bucket per kind of request and client address; only the instant at which it is full again is stored.
create table rate_limit (
    bucket  text primary key,
    full_at integer not null
);

-- The OAuth clients of the settings, so that the tokens of one that is removed or changed can be revoked.
create table client (
    id               text primary key,
    properties       blob,                 -- its secret and roles, encrypted with the key file; null once it is removed
    token_generation integer not null      -- as in account
);

-- Signing keys. A key signs from `signs_from` until the next generation does.
create table signing_key (
    generation integer primary key,
    kid        text not null unique,
    encrypted  blob not null,             -- the private key, encrypted with the key file
    signs_from integer not null
);
