//! The table of signing keys. Private keys are encrypted before they come here.

use database::{DatabaseError, Db, on};

const LIST: &str = "\
select generation, kid, encrypted, signs_from
from signing_key
order by generation";

/// If several processes create one generation at once, the first wins.
const INSERT: &str = "\
insert into signing_key (generation, kid, encrypted, signs_from)
values ($1, $2, $3, $4)
on conflict do nothing";

const DELETE_BEFORE: &str = "delete from signing_key where generation < $1";

/// A signing key as it is stored.
pub(crate) struct EncryptedKey {
    pub(crate) generation: i64,
    pub(crate) kid: String,
    /// The private key as PKCS#8, encrypted under `kid`.
    pub(crate) encrypted: Vec<u8>,
    /// From when on the key signs, in microseconds since 1970.
    pub(crate) signs_from: i64,
}

/// Reads and writes the table `signing_key`.
pub(crate) struct KeyStore(Db);

impl KeyStore {
    pub(crate) fn new(db: Db) -> Self {
        Self(db)
    }

    /// Every key, the oldest first. Read on the writer's connections, since a key that was just inserted must be among them.
    pub(crate) async fn list(&self) -> Result<Vec<EncryptedKey>, DatabaseError> {
        let rows: Vec<(i64, String, Vec<u8>, i64)> =
            on!(&self.0, write, pool => sqlx::query_as(LIST).fetch_all(pool).await)?;
        let key = |(generation, kid, encrypted, signs_from)| EncryptedKey {
            generation,
            kid,
            encrypted,
            signs_from,
        };
        Ok(rows.into_iter().map(key).collect())
    }

    /// Stores a key; `false` if there is a key of its generation already.
    pub(crate) async fn insert(&self, key: &EncryptedKey) -> Result<bool, DatabaseError> {
        let inserted = on!(&self.0, write, pool => sqlx::query(INSERT)
            .bind(key.generation).bind(&key.kid).bind(&key.encrypted).bind(key.signs_from)
            .execute(pool).await.map(|done| done.rows_affected()))?;
        Ok(inserted == 1)
    }

    /// Deletes every key of an earlier generation.
    pub(crate) async fn delete_before(&self, generation: i64) -> Result<(), DatabaseError> {
        on!(&self.0, write, pool =>
            sqlx::query(DELETE_BEFORE).bind(generation).execute(pool).await.map(drop))?;
        Ok(())
    }
}
