//! The catalogue: the versions of every operation that was registered and not removed, and the account or client to which each
//! type belongs.

use std::collections::BTreeSet;

use database::{DatabaseError, Db, on, transaction};
use domain::{Operation, TypeName};
use uuid::Uuid;

use crate::decode::parse_column;
use crate::operations::registration::Registrant;
use crate::store::Store;

const LATEST_VERSIONS: &str = "
    select type, version, spec from operation o
    where version = (select max(version) from operation h where h.type = o.type)
    order by type";

const VERSIONS: &str = "select type, version, spec from operation where type = $1 order by version desc";

const TYPES: &str = "select type from operation_type";

/// Locks the type against registrations until the transaction ends.
const LOCK_TYPE: &str =
    "update operation_type set is_removed = is_removed where type = $1 and not is_removed returning subject";

const IS_AWAITED: &str = "select 1 from unfinished_task where type = $1 and phase = 1 limit 1";

const REMOVE: &str = "delete from operation where type = $1 and version = coalesce($2, version)";

const REMOVE_TYPE: &str = "
    update operation_type set is_removed = true
    where type = $1 and not exists (select 1 from operation o where o.type = operation_type.type)";

/// Removes from a type in the transaction of `$connection`: a `Result` of the database, with what became of it inside.
macro_rules! remove {
    ($connection:ident, $name:expr, $version:expr, $by:expr) => {
        async {
            let row = sqlx::query_as(LOCK_TYPE).bind($name).fetch_optional(&mut *$connection).await?;
            let Some((subject,)): Option<(Option<Uuid>,)> = row else { return Ok(Err(RemoveError::Unknown)) };
            if let Registrant::Subject(by) = $by {
                if subject != Some(by.0) {
                    return Ok(Err(RemoveError::Foreign));
                }
                let awaited = sqlx::query(IS_AWAITED).bind($name).fetch_optional(&mut *$connection).await?;
                if awaited.is_some() {
                    return Ok(Err(RemoveError::Awaited));
                }
            }
            let remove = sqlx::query(REMOVE).bind($name).bind($version).execute(&mut *$connection).await?;
            if remove.rows_affected() == 0 {
                return Ok(Err(RemoveError::Unknown));
            }
            sqlx::query(REMOVE_TYPE).bind($name).execute(&mut *$connection).await?;
            Ok::<_, DatabaseError>(Ok(()))
        }
        .await
    };
}

/// The type, the version and the definition of an operation.
type DefinitionRow = (String, i32, String);

/// Why an operation could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// There is no such type, or it has no such version.
    #[error("there is no such operation")]
    Unknown,
    /// The type belongs to another account or client, or to nobody, and the caller is no administrator.
    #[error(
        "the operation was registered by another account or client, or comes with Tasker: to remove it needs the role Admin"
    )]
    Foreign,
    /// Tasks of the type wait for a worker, and the caller is no administrator.
    #[error("tasks of this type wait for a worker: only an administrator can remove it now")]
    Awaited,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Store {
    /// Removes a version of an operation, or with `None` all of them, for an administrator, or for the account or client to
    /// which the type belongs if no task of the type waits for a worker. A type without versions is nobody's: whoever
    /// registers it next has it.
    ///
    /// Tasks that were accepted before stay as they are: a worker that runs the type is granted them.
    pub async fn remove_operation(
        &self,
        name: &TypeName,
        version: Option<u32>,
        by: Registrant,
    ) -> Result<(), RemoveError> {
        let version = version.map(i64::from);
        match &self.db {
            Db::Postgres(pools) => {
                let mut transaction = pools.write.begin().await.map_err(DatabaseError::from)?;
                let removed = remove!(transaction, name.as_str(), version, by)?;
                transaction.commit().await.map_err(DatabaseError::from)?;
                removed
            }
            Db::Sqlite(pools) => {
                let name = name.clone();
                let removed = transaction(&pools.write, &self.clock, move |connection, _| {
                    Box::pin(async move { remove!(connection, name.as_str(), version, by) })
                });
                removed.await?
            }
        }
    }

    /// Every type that was ever registered, the removed ones included.
    pub async fn known_types(&self) -> Result<BTreeSet<TypeName>, DatabaseError> {
        let rows: Vec<(String,)> = on!(&self.db, read, pool => sqlx::query_as(TYPES).fetch_all(pool).await)?;
        rows.into_iter().map(|(name,)| parse_column("operation_type", &name, &name)).collect()
    }

    /// The highest version of each operation, by name. A definition that this Tasker cannot read (a newer one may have
    /// written it) is logged once and left out.
    pub async fn catalogue(&self) -> Result<Vec<Operation>, DatabaseError> {
        let rows: Vec<DefinitionRow> =
            on!(&self.db, read, pool => sqlx::query_as(LATEST_VERSIONS).fetch_all(pool).await)?;
        Ok(self.decode_all(rows))
    }

    /// Every version of the operation `name` that this Tasker can read, the highest first.
    pub async fn operation_versions(&self, name: &TypeName) -> Result<Vec<Operation>, DatabaseError> {
        let rows: Vec<DefinitionRow> = on!(&self.db, read, pool =>
            sqlx::query_as(VERSIONS).bind(name.as_str()).fetch_all(pool).await)?;
        Ok(self.decode_all(rows))
    }

    fn decode_all(&self, rows: Vec<DefinitionRow>) -> Vec<Operation> {
        rows.into_iter().filter_map(|(name, version, spec)| self.decode(&name, version, &spec)).collect()
    }

    /// Decodes a definition. The catalogue is read every second, so an unreadable definition is logged only the first time.
    fn decode(&self, name: &str, version: i32, spec: &str) -> Option<Operation> {
        let operation: Result<Operation, _> = serde_json::from_str(spec);
        if let Err(error) = &operation
            && self.first_time_unreadable(name, version)
        {
            tracing::error!(%name, version, %error, "cannot read the definition of an operation: it is left out of the catalogue");
        }
        operation.ok()
    }
}
