//! The catalogue of operations in the database.

pub(crate) mod catalogue;
pub(crate) mod definition_equality;
pub(crate) mod registration;
