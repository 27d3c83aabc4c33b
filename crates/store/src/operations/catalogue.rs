//! The catalogue: every version of every operation that was ever registered.

use database::{DatabaseError, on};
use domain::{Operation, TypeName};

use crate::operations::definition_equality::is_equivalent;
use crate::store::Store;

const REGISTER: &str =
    "insert into operation (type, version, spec) values ($1, $2, $3) on conflict (type, version) do nothing";

const READ: &str = "select spec from operation where type = $1 and version = $2";

const LATEST_VERSIONS: &str = "
    select type, version, spec from operation o
    where version = (select max(version) from operation h where h.type = o.type)
    order by type";

/// Why an operation could not be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The version is registered with another definition, and a registered version never changes.
    #[error("version {version} of {name} is registered with another definition; give yours a higher version")]
    Conflict {
        /// The operation.
        name: TypeName,
        /// The version of both definitions.
        version: u32,
    },
    /// The database failed, or the stored definition could not be read back.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Store {
    /// Registers a version of an operation. Registering an equivalent definition again changes nothing; another one under the
    /// same version fails with [`RegisterError::Conflict`].
    pub async fn register(&self, operation: &Operation) -> Result<(), RegisterError> {
        let spec = serde_json::to_string(operation).expect("an operation is JSON");
        let (name, version) = (operation.name.as_str(), i64::from(operation.version));
        on!(&self.db, write, pool => sqlx::query(REGISTER)
            .bind(name).bind(version).bind(&spec).execute(pool).await.map(drop))
        .map_err(DatabaseError::from)?;
        let (registered,): (String,) = on!(&self.db, write, pool =>
            sqlx::query_as(READ).bind(name).bind(version).fetch_one(pool).await)
        .map_err(DatabaseError::from)?;
        if parse(&registered).is_ok_and(|registered| is_equivalent(&registered, operation)) {
            return Ok(());
        }
        Err(RegisterError::Conflict { name: operation.name.clone(), version: operation.version })
    }

    /// The highest version of each operation, by name. A definition that this Tasker cannot read (a newer one may have
    /// written it) is logged once and left out.
    pub async fn catalogue(&self) -> Result<Vec<Operation>, DatabaseError> {
        let rows: Vec<(String, i32, String)> =
            on!(&self.db, read, pool => sqlx::query_as(LATEST_VERSIONS).fetch_all(pool).await)?;
        Ok(rows.into_iter().filter_map(|(name, version, spec)| self.decode(&name, version, &spec)).collect())
    }

    /// Decodes a definition. The catalogue is read every second, so an unreadable definition is logged only the first time.
    fn decode(&self, name: &str, version: i32, spec: &str) -> Option<Operation> {
        let operation = parse(spec);
        if let Err(error) = &operation
            && self.first_time_unreadable(name, version)
        {
            tracing::error!(%name, version, %error, "cannot read the definition of an operation: it is left out of the catalogue");
        }
        operation.ok()
    }
}

fn parse(spec: &str) -> Result<Operation, serde_json::Error> {
    serde_json::from_str(spec)
}
