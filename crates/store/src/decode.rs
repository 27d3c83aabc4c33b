//! Reads stored values: rows by the names of their columns, and text columns as the types that they stand for.

use std::fmt::Display;
use std::str::FromStr;

use database::DatabaseError;
use domain::Priority;

/// Declares a row as a struct whose fields are read by the names of their columns, on either database.
///
/// This is what `#[derive(sqlx::FromRow)]` does; sqlx's `macros` feature, which has it, includes the checking of
/// statements at compile time and its dependencies.
macro_rules! row_struct {
    ($(#[$struct_meta:meta])* struct $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$struct_meta])*
        pub(crate) struct $name {
            $($(#[$meta])* pub(crate) $field: $type,)+
        }

        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $name {
            fn from_row(row: &sqlx::postgres::PgRow) -> sqlx::Result<Self> {
                use sqlx::Row;
                Ok(Self { $($field: row.try_get(stringify!($field))?,)+ })
            }
        }

        impl sqlx::FromRow<'_, sqlx::sqlite::SqliteRow> for $name {
            fn from_row(row: &sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
                use sqlx::Row;
                Ok(Self { $($field: row.try_get(stringify!($field))?,)+ })
            }
        }
    };
}

pub(crate) use row_struct;

/// Parses the text of a column. Text that is no `T` makes the row of `table` with the key `row` corrupt.
pub(crate) fn parse_column<T: FromStr>(
    table: &'static str,
    row: impl Display,
    text: &str,
) -> Result<T, DatabaseError> {
    text.parse().map_err(|_| corrupt(table, row, format!("{text:?} is not a value that Tasker writes")))
}

/// The priority of a column, of the row of `table` with the key `row`.
pub(crate) fn decode_priority(
    table: &'static str,
    row: impl Display,
    number: i16,
) -> Result<Priority, DatabaseError> {
    let priority = u8::try_from(number).ok().and_then(|number| number.try_into().ok());
    priority.ok_or_else(|| corrupt(table, row, format!("{number} is not a priority")))
}

/// The error of a row that cannot be read.
pub(crate) fn corrupt(table: &'static str, row: impl Display, what: impl Display) -> DatabaseError {
    DatabaseError::Corrupt { table, row: row.to_string(), what: what.to_string() }
}
