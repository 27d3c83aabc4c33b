//! The catalogue at rest: every version of every operation that was ever registered.

use domain::{Operation, TypeName};

use crate::operations::definition_equality::same;
use crate::store::Store;
use database::DatabaseError;
use database::on;

const REGISTER: &str =
    "insert into operation (type, version, spec) values ($1, $2, $3) on conflict (type, version) do nothing";

const READ: &str = "select spec from operation where type = $1 and version = $2";

const ALL: &str = "
    select type, version, spec from operation o
    where version = (select max(version) from operation h where h.type = o.type)
    order by type";

/// Why an operation could not be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// A version, once registered, never changes.
    #[error("version {version} of {name} is registered with another definition; give yours a higher version")]
    Conflict {
        /// The operation.
        name: TypeName,
        /// The version that both claim.
        version: u32,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Store {
    /// Registers an operation for good. The same definition again changes nothing, also in other words; another one
    /// under the same version is refused.
    pub async fn register(&self, operation: &Operation) -> Result<(), RegisterError> {
        let spec = serde_json::to_string(operation).expect("an operation is JSON");
        let (name, version) = (operation.name.as_str(), i64::from(operation.version));
        on!(&self.db, write, pool => sqlx::query(REGISTER)
            .bind(name).bind(version).bind(&spec).execute(pool).await.map(drop))
        .map_err(DatabaseError::from)?;
        let (registered,): (String,) = on!(&self.db, write, pool =>
            sqlx::query_as(READ).bind(name).bind(version).fetch_one(pool).await)
        .map_err(DatabaseError::from)?;
        if parse(&registered).is_ok_and(|registered| same(&registered, operation)) {
            return Ok(());
        }
        Err(RegisterError::Conflict { name: operation.name.clone(), version: operation.version })
    }

    /// The highest version of each operation, by name. One that cannot be read (a newer Tasker may have written it) is
    /// left out, and does not hide the others.
    pub async fn catalogue(&self) -> Result<Vec<Operation>, DatabaseError> {
        let rows: Vec<(String, i32, String)> =
            on!(&self.db, read, pool => sqlx::query_as(ALL).fetch_all(pool).await)?;
        Ok(rows
            .into_iter()
            .filter_map(|(name, version, spec)| self.decode_grants(&name, version, &spec))
            .collect())
    }

    /// The catalogue is read every second: what is wrong with a row is said once.
    fn decode_grants(&self, name: &str, version: i32, spec: &str) -> Option<Operation> {
        let read = parse(spec);
        if let Err(error) = &read
            && self.first_time_unreadable(name, version)
        {
            tracing::error!(%name, version, %error, "an operation is not served: this Tasker cannot read it");
        }
        read.ok()
    }
}

fn parse(spec: &str) -> Result<Operation, serde_json::Error> {
    serde_json::from_str(spec)
}
