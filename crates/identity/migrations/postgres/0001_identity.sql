-- Accounts and everything around them. Instants are microseconds since 1970-01-01 UTC.

-- An account. Everybody is a User; `role` says what the account may do beyond that.
create table account (
    id                 uuid primary key,
    name               text not null,
    lower_name         text not null unique,     -- the name in lower case: names that differ in case only are one account
    password_hash      text not null,            -- a PHC string
    -- Whether Tasker generated the password from random bits: no lockout protects it.
    has_generated_password boolean not null default false,
    role               text not null check (role in ('User', 'Worker', 'Admin')),
    origin             text not null check (origin in ('open', 'admin', 'setup', 'invitation', 'operator')),
    registration_token bytea unique,             -- the token it was registered with: each token registers one account
    created_at         bigint not null,
    disabled_at        bigint,
    -- The instant at which its access tokens were last revoked. A token carries the value under which it was issued.
    token_generation   bigint not null default 0
);

create index account_token_generation on account (token_generation) where token_generation > 0;

-- An account that was deleted, until the last of its access tokens has expired: they are published as revoked. Its id is never used again.
create table deleted_account (
    id               uuid primary key,
    token_generation bigint not null       -- as in account: the instant of the deletion
);

-- However many setup links are used at once, they register one administrator.
create unique index account_first_admin on account (origin) where origin = 'setup';

-- A setup link or an invitation. It is used up when an account names it.
create table registration_token (
    digest     bytea primary key,         -- SHA-256 of the token
    kind       text not null check (kind in ('setup', 'invitation')),
    role       text not null check (role in ('User', 'Worker', 'Admin')),
    created_at bigint not null,
    created_by uuid,                      -- the administrator who invites; null for a setup link
    inviter_generation bigint,            -- the generation of the inviter's tokens then: a later one revokes the invitation
    expires_at bigint not null
);

-- A browser that is signed in.
create table session (
    digest       bytea primary key,       -- SHA-256 of the cookie
    account      uuid not null references account (id) on delete cascade,
    token_generation bigint not null,       -- as in account: the session ends when the account has a later one
    started_at   bigint not null,
    last_used_at bigint not null
);

create index session_account on session (account);

-- Failed sign-ins in a row, per account and source: a device, a network, or all sources that the account has not signed in from.
-- Those with unknown names are counted under the nil UUID.
create table failed_sign_in (
    account uuid not null,
    source  text not null,
    count   bigint not null,
    last_at bigint not null,
    primary key (account, source)
);

-- The devices and networks that an account has signed in from.
create table known_source (
    account uuid not null references account (id) on delete cascade,
    source  text not null,
    last_at bigint not null,
    primary key (account, source)
);

-- A token bucket per kind of request and client address; only the instant at which it is full again is stored.
create table rate_limit (
    bucket  text primary key,
    full_at bigint not null
);

-- The OAuth clients of the settings, so that the tokens of one that is removed or changed can be revoked.
create table client (
    id               text primary key,
    properties       bytea,                 -- its secret and roles, encrypted with the key file; null once it is removed
    token_generation bigint not null      -- as in account
);

-- What a person has allowed a client: a family of tokens, from the code or the device that began it to its end.
create table client_grant (
    id               uuid primary key,
    account          uuid not null references account (id) on delete cascade,
    client           text not null,           -- the client_id
    scopes           text not null,           -- separated by blanks
    token_generation bigint not null,        -- as in account: the grant ends when the account has a later one
    authenticated_at bigint not null,        -- when the person signed in
    session          bytea,                    -- the session in which it was allowed, as in session
    code_digest      bytea unique,             -- SHA-256 of the code, of a grant that began with one
    redirect_uri     text,                    -- what the request for the code named, as do the next two
    code_challenge   text,
    nonce            text,
    started_at       bigint not null,
    redeemed_at      bigint,                 -- when the client exchanged the code; null until then
    refresh_digest   bytea,                    -- SHA-256 of the refresh token that is valid
    previous_digest  bytea,                    -- of the one before it
    rotated_at       bigint,                 -- when the one replaced the other
    last_used_at     bigint not null,
    ended_at         bigint                  -- kept until the last access token has expired
);
create index client_grant_account on client_grant (account);
create index client_grant_ended on client_grant (ended_at) where ended_at is not null;

-- The scopes that a person has allowed a client, so that they are not asked again.
create table consent (
    account  uuid not null references account (id) on delete cascade,
    client   text not null,
    scopes   text not null,
    given_at bigint not null,
    primary key (account, client)
);

-- A device that waits for a person to allow it on another one (RFC 8628).
create table device_authorization (
    device_digest    bytea primary key,        -- SHA-256 of the device code
    user_code        text not null unique,
    client           text not null,
    scopes           text not null,
    expires_at       bigint not null,
    polled_at        bigint,                 -- when the device asked last
    account          uuid references account (id) on delete cascade, -- who has decided
    token_generation bigint,                 -- as in account, then
    authenticated_at bigint,                 -- when that person signed in
    is_allowed       boolean
);

-- Signing keys. A key signs from `signs_from` until the next generation does.
create table signing_key (
    generation bigint primary key,
    kid        text not null unique,
    encrypted  bytea not null,            -- the private key, encrypted with the key file
    signs_from bigint not null
);
