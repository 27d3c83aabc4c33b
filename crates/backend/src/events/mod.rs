//! The events of tasks: from what is announced after a commit to the streams of the clients that read them.

pub(crate) mod broadcaster;
pub(crate) mod dispatcher;
pub(crate) mod pending_changes;
pub(crate) mod recent_events;
