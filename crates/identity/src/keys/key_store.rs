//! Signing keys at rest.

use database::{DatabaseError, Db, on};

use crate::keys::key_ring::Key;

const ALL: &str = "\
select generation, kid, sealed, signs_from
from signing_key
order by generation";

/// Of all who make a generation at once, one does.
const INSERT: &str = "\
insert into signing_key (generation, kid, sealed, signs_from)
values ($1, $2, $3, $4)
on conflict do nothing";

const FORGET: &str = "delete from signing_key where generation < $1";

/// A sealed key.
pub(crate) struct Row {
    pub(crate) generation: i64,
    pub(crate) kid: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) signs_from: i64,
}

pub(crate) struct KeyStore(Db);

impl KeyStore {
    pub(crate) fn new(db: Db) -> Self {
        Self(db)
    }

    /// All of them, oldest first. Read where it is written: what was just inserted has to be seen.
    pub(crate) async fn all(&self) -> Result<Vec<Row>, DatabaseError> {
        let rows: Vec<(i64, String, Vec<u8>, i64)> =
            on!(&self.0, write, pool => sqlx::query_as(ALL).fetch_all(pool).await)?;
        let read = |(generation, kid, sealed, signs_from)| Row { generation, kid, sealed, signs_from };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Whether this key is now the key of its generation.
    pub(crate) async fn insert(&self, key: &Key, sealed: &[u8]) -> Result<bool, DatabaseError> {
        let inserted = on!(&self.0, write, pool => sqlx::query(INSERT)
            .bind(key.generation).bind(&key.kid).bind(sealed).bind(key.signs_from)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(inserted == 1)
    }

    pub(crate) async fn forget_before(&self, generation: i64) -> Result<(), DatabaseError> {
        on!(&self.0, write, pool => sqlx::query(FORGET).bind(generation).execute(pool).await.map(drop))?;
        Ok(())
    }
}
