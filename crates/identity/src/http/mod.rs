//! Reading requests: form bodies.

pub(crate) mod form;
