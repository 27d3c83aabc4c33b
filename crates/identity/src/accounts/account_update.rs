//! What administrators change about an account: its role, and whether it is disabled.

use database::{DatabaseError, Db};
use uuid::Uuid;

use crate::accounts::account_store::{AccountStore, read_role};
use crate::accounts::acting_admin::{ActingAdmin, Unchanged, still_admin};
use crate::role::Role;

/// Locks the account and all administrators before it compares and writes, so that two of the last administrators cannot be demoted
/// or disabled at once, and returns the values that were replaced. A parameter that is `null` leaves its column as it is.
/// Another role and disabling revoke the account's access tokens and end its sessions.
const UPDATE_POSTGRES: &str = concat!(
    "\
with locked as materialized (
    select id, lower_name, role, disabled_at, token_generation
    from account
    where lower_name = $1 or (role = 'Admin' and disabled_at is null)
    order by id
    for update
)
update account a
set role = coalesce($2::text, before.role),
    disabled_at = case
        when $3::bigint is null then before.disabled_at
        when $3 = 0 then null
        else coalesce(before.disabled_at, $4)
    end,
    token_generation = case
        when coalesce($2, before.role) <> before.role or ($3 = 1 and before.disabled_at is null)
            then greatest($4, a.token_generation + 1)
        else a.token_generation
    end
from locked before
where before.lower_name = $1
and a.id = before.id
and (before.role <> 'Admin' or before.disabled_at is not null
    or (coalesce($2, 'Admin') = 'Admin' and coalesce($3, 0) = 0)
    or exists (
        select 1 from locked other
        where other.id <> before.id and other.role = 'Admin' and other.disabled_at is null))
and exists (
    select 1 from locked acting
    where ",
    still_admin!("acting", "$5", "$6"),
    ")
returning a.id, before.role, before.disabled_at"
);

/// The values that `UPDATE_SQLITE` will replace, read in the same transaction.
const BEFORE_UPDATE_SQLITE: &str = "select id, role, disabled_at from account where lower_name = ?1";

/// The update on SQLite, where a transaction excludes every other writer.
const UPDATE_SQLITE: &str = concat!(
    "\
update account as a
set role = coalesce(?2, a.role),
    disabled_at = case
        when ?3 is null then a.disabled_at
        when ?3 = 0 then null
        else coalesce(a.disabled_at, ?4)
    end,
    token_generation = case
        when coalesce(?2, a.role) <> a.role or (?3 = 1 and a.disabled_at is null)
            then max(?4, a.token_generation + 1)
        else a.token_generation
    end
where a.lower_name = ?1
and (a.role <> 'Admin' or a.disabled_at is not null
    or (coalesce(?2, 'Admin') = 'Admin' and coalesce(?3, 0) = 0)
    or exists (select 1 from account o where o.role = 'Admin' and o.disabled_at is null and o.id <> a.id))
and exists (
    select 1 from account acting
    where ",
    still_admin!("acting", "?5", "?6"),
    ")"
);

/// New values for an account; `None` leaves a value as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountUpdate {
    pub(crate) role: Option<Role>,
    pub(crate) disabled: Option<bool>,
}

/// The account that an update has changed, and the values that it has replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BeforeUpdate {
    pub(crate) id: Uuid,
    pub(crate) role: Role,
    pub(crate) is_disabled: bool,
}

impl AccountStore {
    /// Updates the account with this name in lower case on behalf of an administrator, unless no administrator would be left.
    pub(crate) async fn update(
        &self,
        lower_name: &str,
        update: AccountUpdate,
        acting: ActingAdmin,
    ) -> Result<Result<BeforeUpdate, Unchanged>, DatabaseError> {
        let (role, disabled) = (update.role.map(Role::name), update.disabled.map(i64::from));
        let row: Option<(Uuid, String, Option<i64>)> = match &self.db {
            Db::Postgres(pools) => {
                let query = sqlx::query_as(UPDATE_POSTGRES).bind(lower_name).bind(role).bind(disabled);
                let query = query.bind(self.clock.now()).bind(acting.id).bind(acting.generation);
                query.fetch_optional(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                let lower_name = lower_name.to_owned();
                database::transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let query = sqlx::query_as(BEFORE_UPDATE_SQLITE).bind(&lower_name);
                        let before = query.fetch_optional(&mut *connection).await?;
                        let query = sqlx::query(UPDATE_SQLITE).bind(&lower_name).bind(role).bind(disabled);
                        let query = query.bind(now).bind(acting.id).bind(acting.generation);
                        let done = query.execute(&mut *connection).await?;
                        Ok(before.filter(|_| done.rows_affected() == 1))
                    })
                })
                .await?
            }
        };
        match row {
            Some((id, role, disabled_at)) => {
                let role = read_role("account", id, &role)?;
                Ok(Ok(BeforeUpdate { id, role, is_disabled: disabled_at.is_some() }))
            }
            None => Ok(Err(self.why_unchanged(lower_name, acting).await?)),
        }
    }
}
