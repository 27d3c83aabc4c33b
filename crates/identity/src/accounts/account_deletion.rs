//! The deletion of accounts.

use database::{DatabaseError, Db, on};
use uuid::Uuid;

use crate::accounts::account_store::AccountStore;
use crate::accounts::acting_admin::{ActingAdmin, Unchanged, still_admin};

/// Locks the account and all administrators before it compares and deletes, so that two of the last administrators cannot be deleted at
/// once. Sessions and known sources go with the account. So does the link with which it was registered, which would open again.
const DELETE_POSTGRES: &str = concat!(
    "\
with locked as materialized (
    select id, lower_name, role, disabled_at, token_generation
    from account
    where lower_name = $1 or (role = 'Admin' and disabled_at is null)
    order by id
    for update
),
deleted as (
    delete from account a
    using locked before
    where before.lower_name = $1
    and a.id = before.id
    and (before.role <> 'Admin' or before.disabled_at is not null
        or exists (
            select 1 from locked other
            where other.id <> before.id and other.role = 'Admin' and other.disabled_at is null))
    and exists (
        select 1 from locked acting
        where ",
    still_admin!("acting", "$3", "$4"),
    ")
    returning a.id, a.registration_token, greatest($2, a.token_generation + 1) as token_generation
),
used_link as (
    delete from registration_token t using deleted where t.digest = deleted.registration_token
),
failures as (
    delete from failed_sign_in f using deleted where f.account = deleted.id
)
insert into deleted_account (id, token_generation)
select id, token_generation from deleted
returning id"
);

/// The deletion on SQLite, where a transaction excludes every other writer. The statements after it are those of the one above.
const DELETE_SQLITE: &str = concat!(
    "\
delete from account as a
where a.lower_name = ?1
and (a.role <> 'Admin' or a.disabled_at is not null
    or exists (select 1 from account o where o.role = 'Admin' and o.disabled_at is null and o.id <> a.id))
and exists (
    select 1 from account acting
    where ",
    still_admin!("acting", "?3", "?4"),
    ")
returning id, registration_token, max(?2, token_generation + 1)"
);

const DELETE_USED_LINK: &str = "delete from registration_token where digest = ?1";

const DELETE_FAILURES: &str = "delete from failed_sign_in where account = ?1";

const REMEMBER_DELETED: &str = "insert into deleted_account (id, token_generation) values (?1, ?2)";

const FORGET_DELETED: &str = "delete from deleted_account where token_generation < $1";

impl AccountStore {
    /// Deletes the account with this name in lower case on behalf of an administrator, unless no administrator would be left. Its access
    /// tokens are revoked. Its id is never used again, so nothing that belongs to it becomes another's who registers with
    /// the same name. Returns that id.
    pub(crate) async fn delete(
        &self,
        lower_name: &str,
        acting: ActingAdmin,
    ) -> Result<Result<Uuid, Unchanged>, DatabaseError> {
        let row: Option<(Uuid,)> = match &self.db {
            Db::Postgres(pools) => {
                let query = sqlx::query_as(DELETE_POSTGRES).bind(lower_name).bind(self.clock.now());
                let query = query.bind(acting.id).bind(acting.generation);
                query.fetch_optional(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                let name = lower_name.to_owned();
                database::transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let query = sqlx::query_as(DELETE_SQLITE).bind(&name).bind(now);
                        let query = query.bind(acting.id).bind(acting.generation);
                        let row: Option<(Uuid, Option<Vec<u8>>, i64)> =
                            query.fetch_optional(&mut *connection).await?;
                        let Some((id, link, generation)) = row else { return Ok(None) };
                        sqlx::query(DELETE_USED_LINK).bind(link).execute(&mut *connection).await?;
                        sqlx::query(DELETE_FAILURES).bind(id).execute(&mut *connection).await?;
                        let query = sqlx::query(REMEMBER_DELETED).bind(id).bind(generation);
                        query.execute(&mut *connection).await?;
                        Ok(Some((id,)))
                    })
                })
                .await?
            }
        };
        match row {
            Some((id,)) => Ok(Ok(id)),
            None => Ok(Err(self.why_unchanged(lower_name, acting).await?)),
        }
    }

    /// Forgets the accounts that were deleted before this instant, in microseconds since 1970.
    pub(crate) async fn forget_deleted(&self, before: i64) -> Result<(), DatabaseError> {
        on!(&self.db, write, pool => sqlx::query(FORGET_DELETED).bind(before).execute(pool).await.map(drop))?;
        Ok(())
    }
}
