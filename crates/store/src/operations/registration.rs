//! Registers versions of operations, within the limits of the catalogue.

use database::{DatabaseError, Db, on, transaction};
use domain::{Operation, SubjectId, TypeName};
use uuid::Uuid;

use crate::operations::definition_equality::is_equivalent;
use crate::store::Store;

/// How many versions the type $1 has.
macro_rules! versions_of_type {
    () => {
        "(select count(*) from operation o where o.type = $1)"
    };
}

/// How many types besides $1 belong to the subject $2.
macro_rules! other_types_of_subject {
    () => {
        "(select count(*) from operation_type t where t.subject = $2 and not t.is_removed and t.type <> $1)"
    };
}

/// How many queues besides $3 the operations of the subject $2 have.
macro_rules! other_queues_of_subject {
    () => {
        "(select count(distinct o.queue) from operation o join operation_type t on t.type = o.type
            where t.subject = $2 and o.queue <> $3)"
    };
}

/// How many characters the definitions of the subject $2 have.
macro_rules! characters_of_subject {
    () => {
        "(select cast(coalesce(sum(length(o.spec)), 0) as bigint)
            from operation o join operation_type t on t.type = o.type where t.subject = $2)"
    };
}

/// Takes a type that is nobody's unless the registrant has as many types or queues as it may have, and locks the row of one that the
/// registrant may change and that has room for a version.
macro_rules! take_type {
    () => {
        concat!(
            "insert into operation_type (type, subject)
            select $1, $2
            where ",
            versions_of_type!(),
            " < $6 and ($4 or (",
            other_types_of_subject!(),
            " < $5 and ",
            other_queues_of_subject!(),
            " < $7 and ",
            characters_of_subject!(),
            " < $8))
            on conflict (type) do update
            set subject = case when operation_type.is_removed then excluded.subject else operation_type.subject end,
                is_removed = false
            where operation_type.is_removed or operation_type.subject = excluded.subject or $4"
        )
    };
}

/// One statement, so that a type is never taken without its version.
const REGISTER_POSTGRES: &str = concat!(
    "with taken as (",
    take_type!(),
    " returning type)
    insert into operation (type, version, queue, spec) select type, $9, $3, $10 from taken
    on conflict (type, version) do nothing"
);

const TAKE_TYPE_SQLITE: &str = take_type!();

const REGISTER_SQLITE: &str = "
    insert into operation (type, version, queue, spec) values ($1, $2, $3, $4)
    on conflict (type, version) do nothing";

/// The counts that are limited.
const COUNTS: &str = concat!(
    "select ",
    versions_of_type!(),
    ", ",
    other_types_of_subject!(),
    ", ",
    other_queues_of_subject!(),
    ", ",
    characters_of_subject!()
);

const READ: &str = "select spec from operation where type = $1 and version = $2";

/// Types that belong to one account or client.
const MAX_TYPES_OF_SUBJECT: i64 = 1000;

/// Queues of the operations that belong to one account or client. With Kafka each queue is a topic.
const MAX_QUEUES_OF_SUBJECT: i64 = 20;

/// Characters of the definitions of the types that belong to one account or client; the last one registered may exceed it. Every
/// definition is a part of the catalogue that each Backend caches and lists.
const MAX_DEFINITION_CHARS_OF_SUBJECT: i64 = 4 << 20;

/// Registered versions of a type.
const MAX_VERSIONS_OF_TYPE: i64 = 100;

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
                    .bind($queue)
                    .bind(may_change_others)
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
            if serde_json::from_str(&spec).is_ok_and(|registered| is_equivalent(&registered, operation)) {
                Ok(Registered::Before)
            } else {
                Err(RegisterError::Conflict { name: operation.name.clone(), version: operation.version })
            }
        }))
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
