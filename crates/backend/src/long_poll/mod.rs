//! Workers' requests that wait until there is work.

pub(crate) mod look_schedule;
pub(crate) mod queue;
