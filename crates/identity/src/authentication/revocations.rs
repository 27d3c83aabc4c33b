//! Which access tokens are revoked before they expire: those of an earlier generation of their account or client.
//!
//! Identity compares a token with the account on every request; Backends read the list that is published here.

use std::collections::BTreeSet;

use database::{DatabaseError, Db, ProcessClock, on};
use secrecy::ExposeSecret;
use serde_json::json;
use web::revocation::{Revocation, RevocationList, subject_digest};

use crate::clients::client::Client;
use crate::grants::grant_store::GrantStore;
use crate::keys::key_ring::KeyRing;
use crate::settings::MAX_TOKEN_TTL;
use crate::time::{MINUTE, micros};

/// For how long a revocation is published after the last token that it refuses has expired, in microseconds.
const CLOCK_TOLERANCE: i64 = 5 * MINUTE;

const LIST_REVOKED_ACCOUNTS: &str = "\
select id, token_generation from account where token_generation > $1
union all
select id, token_generation from deleted_account where token_generation > $1
order by id";

const LIST_CLIENTS: &str = "select id, properties, token_generation from client order by id";

const FIND_CLIENT: &str = "select token_generation from client where id = $1 and properties is not null";

/// Stores a client as it is in the settings. One that was removed before begins a new generation.
const STORE_CLIENT: &str = "\
insert into client (id, properties, token_generation)
values ($1, $2, $3)
on conflict (id) do update
set properties = excluded.properties,
    token_generation = case
        when client.token_generation < excluded.token_generation then excluded.token_generation
        else client.token_generation + 1
    end";

const REMOVE_CLIENT: &str = "\
update client
set properties = null, token_generation = case when token_generation < $2 then $2 else token_generation + 1 end
where id = $1 and properties is not null";

/// Reads the tables `account` and `client`, and writes `client`.
pub(crate) struct Revocations {
    db: Db,
    clock: ProcessClock,
}

/// A row of the table `client`: id, encrypted properties, token generation.
type ClientRow = (String, Option<Vec<u8>>, i64);

impl Revocations {
    pub(crate) fn new(db: Db, clock: ProcessClock) -> Self {
        Self { db, clock }
    }

    /// Stores the clients of the settings. The tokens of a client that is missing there, or whose secret or roles are others
    /// than at the last start, are revoked.
    pub(crate) async fn store_clients(
        &self,
        clients: &[Client],
        keys: &KeyRing,
    ) -> Result<(), DatabaseError> {
        let known = self.clients().await?;
        let now = self.clock.now();
        for client in clients {
            let properties = properties(client);
            let row = known.iter().find(|(id, ..)| *id == client.id);
            let stored = row.and_then(|(id, encrypted, _)| keys.decrypt(id, encrypted.as_deref()?));
            if stored.as_ref() != Some(&properties) {
                let encrypted = keys.encrypt(&client.id, &properties);
                // The first tokens of a client revoke nothing, so their generation is 0.
                let generation = row.map_or(0, |_| now);
                on!(&self.db, write, pool => sqlx::query(STORE_CLIENT)
                    .bind(&client.id).bind(encrypted).bind(generation).execute(pool).await.map(drop))?;
            }
        }
        let configured: BTreeSet<&str> = clients.iter().map(|client| client.id.as_str()).collect();
        for (id, ..) in known.iter().filter(|(id, ..)| !configured.contains(id.as_str())) {
            on!(&self.db, write, pool =>
                sqlx::query(REMOVE_CLIENT).bind(id).bind(now).execute(pool).await.map(drop))?;
        }
        Ok(())
    }

    /// The generation of the tokens of a client; `None` if it is no client any more.
    pub(crate) async fn client_generation(&self, id: &str) -> Result<Option<i64>, DatabaseError> {
        let row: Option<(i64,)> =
            on!(&self.db, read, pool => sqlx::query_as(FIND_CLIENT).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(|(generation,)| generation))
    }

    /// Every revocation that refuses tokens which have not expired, those of the grants that have ended included.
    pub(crate) async fn list(&self, grants: &GrantStore) -> Result<RevocationList, DatabaseError> {
        let after = self.published_since();
        let accounts: Vec<(uuid::Uuid, i64)> = on!(&self.db, read, pool =>
            sqlx::query_as(LIST_REVOKED_ACCOUNTS).bind(after).fetch_all(pool).await)?;
        let accounts = accounts.into_iter().map(|(id, generation)| (id.to_string(), generation));
        let clients = self.clients().await?.into_iter().map(|(id, _, generation)| (id, generation));
        let clients = clients.filter(|(_, generation)| *generation > after);
        let grants = grants.ended_since(after).await?.into_iter();
        let grants = grants.map(|(grant, ended_at)| (grant.to_string(), ended_at));
        let entry = |(subject, generation): (String, i64)| Revocation {
            subject: subject_digest(&subject),
            generation,
        };
        Ok(RevocationList { revocations: accounts.chain(clients).chain(grants).map(entry).collect() })
    }

    /// The instant before which every revocation refuses only tokens that have expired, in microseconds since 1970.
    pub(crate) fn published_since(&self) -> i64 {
        (self.clock.now() - micros(MAX_TOKEN_TTL) - CLOCK_TOLERANCE).max(0)
    }

    async fn clients(&self) -> Result<Vec<ClientRow>, DatabaseError> {
        on!(&self.db, read, pool => Ok(sqlx::query_as(LIST_CLIENTS).fetch_all(pool).await?))
    }
}

/// What a client's tokens depend on: whoever knew another secret, or had other roles, must not keep its tokens.
fn properties(client: &Client) -> Vec<u8> {
    let roles: Vec<_> = client.roles.iter().map(|role| role.name()).collect();
    json!({ "secret": client.secret.as_ref().map(ExposeSecret::expose_secret), "roles": roles })
        .to_string()
        .into_bytes()
}
