//! The table of consents: which scopes a person has allowed which client.

use database::{DatabaseError, Db, ProcessClock, on};
use uuid::Uuid;

use crate::scope::Scopes;

const FIND: &str = "select scopes from consent where account = $1 and client = $2";

const STORE: &str = "\
insert into consent (account, client, scopes, given_at)
values ($1, $2, $3, $4)
on conflict (account, client) do update set scopes = excluded.scopes, given_at = excluded.given_at";

const WITHDRAW: &str = "delete from consent where account = $1 and client = $2";

/// Reads and writes the table `consent`.
pub(crate) struct Consents {
    db: Db,
    clock: ProcessClock,
}

impl Consents {
    pub(crate) fn new(db: Db, clock: ProcessClock) -> Self {
        Self { db, clock }
    }

    /// Whether the account has allowed the client all of these scopes.
    pub(crate) async fn covers(
        &self,
        account: Uuid,
        client: &str,
        scopes: &Scopes,
    ) -> Result<bool, DatabaseError> {
        let row: Option<(String,)> = on!(&self.db, read, pool =>
            sqlx::query_as(FIND).bind(account).bind(client).fetch_optional(pool).await)?;
        let given = row.and_then(|(given,)| Scopes::parse(&given));
        Ok(given.is_some_and(|given| given.include(scopes)))
    }

    /// Stores that the account has allowed the client these scopes, in the place of others.
    pub(crate) async fn store(
        &self,
        account: Uuid,
        client: &str,
        scopes: &Scopes,
    ) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool => sqlx::query(STORE)
            .bind(account).bind(client).bind(scopes.to_string()).bind(self.clock.now())
            .execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Forgets what the account has allowed the client.
    pub(crate) async fn withdraw(&self, account: Uuid, client: &str) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool =>
            sqlx::query(WITHDRAW).bind(account).bind(client).execute(pool).await.map(drop))?;
        Ok(())
    }
}
