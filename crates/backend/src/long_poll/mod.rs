//! Workers' claim requests that wait until there are tasks for them.

mod delivery;
mod query_schedule;
pub(crate) mod queue;
mod waiting_request;
