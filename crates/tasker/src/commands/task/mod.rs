//! The commands about tasks.

pub(crate) mod cancel;
pub(crate) mod conditions;
pub(crate) mod counts;
pub(crate) mod id_prefix;
pub(crate) mod label;
pub(crate) mod list;
pub(crate) mod parameters;
pub(crate) mod rerun;
pub(crate) mod submit;
pub(crate) mod submit_batch;
pub(crate) mod ttl;
pub(crate) mod ttl_bar;
pub(crate) mod view;
pub(crate) mod watch;
