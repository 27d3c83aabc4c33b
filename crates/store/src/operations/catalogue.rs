//! The catalogue: the versions of every operation that was registered and not removed, and the account or client to which each
//! type belongs.

use std::collections::BTreeSet;

use database::{DatabaseError, Db, on, transaction};
use domain::{Operation, SubjectId, TypeName};
use uuid::Uuid;

use crate::decode::parse_column;
use crate::operations::definition_equality::is_equivalent;
use crate::store::Store;

/// Takes a type that is nobody's unless the registrant has as many types or queues as it may have, and locks the row of one that the
/// registrant may change and that has room for a version.
macro_rules! take_type {
    () => {
        "insert into operation_type (type, subject)
        select $1, $2
        where (select count(*) from operation o where o.type = $1) < $6
            and ($3 or (
                (select count(*) from operation_type t
                    where t.subject = $2 and not t.is_removed and t.type <> $1) < $5
                and (select count(distinct o.queue)
                    from operation o join operation_type t on t.type = o.type
                    where t.subject = $2 and o.queue <> $4) < $7
                and (select coalesce(sum(length(o.spec)), 0)
                    from operation o join operation_type t on t.type = o.type
                    where t.subject = $2) < $8))
        on conflict (type) do update
        set subject = case when operation_type.is_removed then excluded.subject else operation_type.subject end,
            is_removed = false
        where operation_type.is_removed or operation_type.subject = excluded.subject or $3"
    };
}

/// One statement, so that a type is never taken without its version.
const REGISTER_POSTGRES: &str = concat!(
    "with taken as (",
    take_type!(),
    " returning type)
    insert into operation (type, version, queue, spec) select type, $9, $4, $10 from taken
    on conflict (type, version) do nothing"
);

const TAKE_TYPE_SQLITE: &str = take_type!();

const REGISTER_SQLITE: &str = "
    insert into operation (type, version, queue, spec) values ($1, $2, $3, $4)
    on conflict (type, version) do nothing";

/// The registered versions of the type $1, and how many types, other queues than $3 and characters of
/// definitions the subject $2 has besides.
const COUNTS: &str = "
    select (select count(*) from operation o where o.type = $1),
        (select count(*) from operation_type t where t.subject = $2 and not t.is_removed and t.type <> $1),
        (select count(distinct o.queue) from operation o join operation_type t on t.type = o.type
            where t.subject = $2 and o.queue <> $3),
        (select cast(coalesce(sum(length(o.spec)), 0) as bigint)
            from operation o join operation_type t on t.type = o.type where t.subject = $2)";

const READ: &str = "select spec from operation where type = $1 and version = $2";

const LATEST_VERSIONS: &str = "
    select type, version, spec from operation o
    where version = (select max(version) from operation h where h.type = o.type)
    order by type";

const VERSIONS: &str = "select type, version, spec from operation where type = $1 order by version desc";

const TYPES: &str = "select type from operation_type";

/// Locks the type against registrations until the transaction ends.
const LOCK_TYPE: &str =
    "update operation_type set is_removed = is_removed where type = $1 and not is_removed returning subject";

const IS_AWAITED: &str =
    "select 1 from unfinished_task where type = $1 and priority = 0 and phase = 1 limit 1";

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

/// Types that belong to one account or client.
const MAX_TYPES_OF_SUBJECT: i64 = 1000;

/// Queues of the operations that belong to one account or client. With Kafka each queue is a topic.
const MAX_QUEUES_OF_SUBJECT: i64 = 20;

/// Characters of the definitions of the types that belong to one account or client; the last one registered may exceed it. Every
/// definition is a part of the catalogue that each Backend caches and lists.
const MAX_DEFINITION_CHARS_OF_SUBJECT: i64 = 4 << 20;

/// Registered versions of a type.
const MAX_VERSIONS_OF_TYPE: i64 = 100;

/// The type, the version and the definition of an operation.
type DefinitionRow = (String, i32, String);

/// Who registers an operation, or removes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registrant {
    /// Tasker itself, at its start. Its types belong to nobody.
    Tasker,
    /// An account or client, to which the types belong that it registers first.
    Subject(SubjectId),
    /// An administrator, who may change the types of others.
    Admin(SubjectId),
}

/// What [`Store::register`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The version is new.
    New,
    /// An equivalent definition was registered before.
    Before,
}

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
    /// The type belongs to another account or client, or to nobody, and the registrant is no administrator.
    #[error(
        "{0} was registered by another account or client, or comes with Tasker: a new version of it needs the role Admin"
    )]
    Foreign(TypeName),
    /// The registrant or the type has as much as the catalogue allows. The sentence names the limit.
    #[error("{0}")]
    TooMany(String),
    /// The database failed, or the stored definition could not be read back.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

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
    /// Registers a version of an operation. Registering an equivalent definition again changes nothing, whoever does it; another
    /// one under the same version fails with [`RegisterError::Conflict`]. A new type belongs to its registrant from then on,
    /// and a new version of another's fails with [`RegisterError::Foreign`] unless an administrator or Tasker registers it.
    /// The types and queues of an account or client are limited, and the versions of a type ([`RegisterError::TooMany`]).
    pub async fn register(&self, operation: &Operation, by: Registrant) -> Result<Registered, RegisterError> {
        if let Some(registered) = self.registered(operation).await? {
            return registered;
        }
        let spec = serde_json::to_string(operation).expect("an operation is JSON");
        let (name, version) = (operation.name.as_str(), i64::from(operation.version));
        let (subject, may_change_others) = (by.subject(), !matches!(by, Registrant::Subject(_)));
        let queue = operation.queue.as_str();
        // Binds what both statements that take a type have in common.
        macro_rules! take {
            ($statement:ident, $name:expr, $queue:expr) => {
                sqlx::query($statement)
                    .bind($name)
                    .bind(subject)
                    .bind(may_change_others)
                    .bind($queue)
                    .bind(MAX_TYPES_OF_SUBJECT)
                    .bind(MAX_VERSIONS_OF_TYPE)
                    .bind(MAX_QUEUES_OF_SUBJECT)
                    .bind(MAX_DEFINITION_CHARS_OF_SUBJECT)
            };
        }
        let inserted = match &self.db {
            Db::Postgres(pools) => {
                let register = take!(REGISTER_POSTGRES, name, queue).bind(version).bind(spec);
                register.execute(&pools.write).await.map_err(DatabaseError::from)?.rows_affected()
            }
            Db::Sqlite(pools) => {
                let (name, queue) = (name.to_owned(), queue.to_owned());
                transaction(&pools.write, &self.clock, move |connection, _| {
                    Box::pin(async move {
                        let take = take!(TAKE_TYPE_SQLITE, &name, &queue);
                        if take.execute(&mut *connection).await?.rows_affected() == 0 {
                            return Ok(0);
                        }
                        let register = sqlx::query(REGISTER_SQLITE).bind(&name).bind(version);
                        let register = register.bind(&queue).bind(spec).execute(connection).await?;
                        Ok(register.rows_affected())
                    })
                })
                .await?
            }
        };
        if inserted > 0 {
            return Ok(Registered::New);
        }
        match self.registered(operation).await? {
            Some(registered) => registered,
            None => Err(self.why_not_registered(operation, by).await?),
        }
    }

    /// Why a new version was not registered.
    async fn why_not_registered(
        &self,
        operation: &Operation,
        by: Registrant,
    ) -> Result<RegisterError, DatabaseError> {
        let (name, queue) = (operation.name.as_str(), operation.queue.as_str());
        let counts = on!(&self.db, write, pool =>
            sqlx::query_as(COUNTS).bind(name).bind(by.subject()).bind(queue).fetch_one(pool).await);
        let (versions, types, queues, characters): (i64, i64, i64, i64) = counts?;
        let is_limited = matches!(by, Registrant::Subject(_));
        let too_many = if versions >= MAX_VERSIONS_OF_TYPE {
            format!("{name} has {MAX_VERSIONS_OF_TYPE} versions, as many as a type may have: remove old ones")
        } else if is_limited && types >= MAX_TYPES_OF_SUBJECT {
            format!(
                "you have {MAX_TYPES_OF_SUBJECT} types, as many as an account or client may have: remove some"
            )
        } else if is_limited && queues >= MAX_QUEUES_OF_SUBJECT {
            format!(
                "your operations have {MAX_QUEUES_OF_SUBJECT} queues, as many as those of an account or client may have: use one of them"
            )
        } else if is_limited && characters >= MAX_DEFINITION_CHARS_OF_SUBJECT {
            "the definitions of your operations are as long as those of an account or client may be (4 MiB): remove some".to_owned()
        } else {
            return Ok(RegisterError::Foreign(operation.name.clone()));
        };
        Ok(RegisterError::TooMany(too_many))
    }

    /// What registering the operation again comes to; `None` if its version is not registered.
    async fn registered(
        &self,
        operation: &Operation,
    ) -> Result<Option<Result<Registered, RegisterError>>, DatabaseError> {
        let (name, version) = (operation.name.as_str(), i64::from(operation.version));
        let registered: Option<(String,)> = on!(&self.db, write, pool =>
            sqlx::query_as(READ).bind(name).bind(version).fetch_optional(pool).await)?;
        Ok(registered.map(|(spec,)| {
            if parse(&spec).is_ok_and(|registered| is_equivalent(&registered, operation)) {
                Ok(Registered::Before)
            } else {
                Err(RegisterError::Conflict { name: operation.name.clone(), version: operation.version })
            }
        }))
    }

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
        let operation = parse(spec);
        if let Err(error) = &operation
            && self.first_time_unreadable(name, version)
        {
            tracing::error!(%name, version, %error, "cannot read the definition of an operation: it is left out of the catalogue");
        }
        operation.ok()
    }
}

impl Registrant {
    /// The account or client; `None` for Tasker.
    fn subject(self) -> Option<Uuid> {
        match self {
            Self::Tasker => None,
            Self::Subject(subject) | Self::Admin(subject) => Some(subject.0),
        }
    }
}

fn parse(spec: &str) -> Result<Operation, serde_json::Error> {
    serde_json::from_str(spec)
}
