//! The replacement of passwords. One transaction changes the password, revokes the access tokens, ends the sessions, and forgets the failed
//! sign-ins and the known sources, so that a failure or a client that hangs up leaves nothing of the old password in force.

use database::{DatabaseError, Db};
use uuid::Uuid;

use crate::accounts::account_store::AccountStore;
use crate::accounts::acting_admin::{ActingAdmin, still_admin};

/// Locks the account and the acting administrator, in the order in which every statement locks accounts. Sign-ins that are about to
/// remember a source hold a lock on the account too, so the deletions that follow see their rows.
const LOCK_POSTGRES: &str = "select id from account where id in ($1, $2) order by id for update";

/// The new generation revokes the account's access tokens and ends its sessions.
const SET_PASSWORD: &str = concat!(
    "\
update account
set password_hash = $2,
    has_generated_password = $7,
    token_generation = case when token_generation < $3 then $3 else token_generation + 1 end
where id = $1
and ($4 is null or token_generation = $4)
and ($5 is null or exists (
    select 1 from account acting
    where ",
    still_admin!("acting", "$5", "$6"),
    "))
returning token_generation"
);

/// Whoever knew the old password may have signed in from there.
const FORGET_SOURCES: &str = "delete from known_source where account = $1";

const FORGET_FAILURES: &str = "delete from failed_sign_in where account = $1";

/// The right by which a password is replaced. The statement that replaces it checks the right once more.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PasswordRight {
    /// The account itself. `generation`: its token generation when the current password was checked; each password change raises
    /// it.
    Own { generation: i64 },
    /// An administrator, whatever has happened to the account meanwhile.
    Admin(ActingAdmin),
    /// The operator of this process.
    Operator,
}

impl PasswordRight {
    fn checked_generation(self) -> Option<i64> {
        match self {
            Self::Own { generation } => Some(generation),
            Self::Admin(_) | Self::Operator => None,
        }
    }

    /// People choose their own passwords; those of others are generated.
    fn is_generated(self) -> bool {
        !matches!(self, Self::Own { .. })
    }

    fn acting(self) -> Option<ActingAdmin> {
        match self {
            Self::Admin(acting) => Some(acting),
            Self::Own { .. } | Self::Operator => None,
        }
    }
}

impl AccountStore {
    /// Replaces the password of an account by the one with this hash, and returns the generation of tokens that begins with it. `None`,
    /// and nothing is changed, if the right does not hold any more or there is no such account.
    pub(crate) async fn set_password(
        &self,
        id: Uuid,
        hash: &str,
        right: PasswordRight,
    ) -> Result<Option<i64>, DatabaseError> {
        let (generation, acting) = (right.checked_generation(), right.acting());
        let (acting, acting_generation) =
            (acting.map(|acting| acting.id), acting.map(|acting| acting.generation));
        let hash = hash.to_owned();
        // The part of the transaction that both databases have.
        macro_rules! set_and_forget {
            ($connection:ident, $now:expr) => {{
                let query = sqlx::query_as(SET_PASSWORD).bind(id).bind(hash).bind($now).bind(generation);
                let query = query.bind(acting).bind(acting_generation).bind(right.is_generated());
                let row = query.fetch_optional(&mut *$connection).await?;
                if row.is_some() {
                    for forget in [FORGET_SOURCES, FORGET_FAILURES] {
                        sqlx::query(forget).bind(id).execute(&mut *$connection).await?;
                    }
                }
                row
            }};
        }
        let row: Option<(i64,)> = match &self.db {
            Db::Postgres(pools) => {
                let mut transaction = pools.write.begin().await?;
                sqlx::query(LOCK_POSTGRES).bind(id).bind(acting).execute(&mut *transaction).await?;
                let row = set_and_forget!(transaction, self.clock.now());
                transaction.commit().await?;
                row
            }
            Db::Sqlite(pools) => {
                database::transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move { Ok(set_and_forget!(connection, now)) })
                })
                .await?
            }
        };
        Ok(row.map(|(generation,)| generation))
    }
}
