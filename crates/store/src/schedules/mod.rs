//! Schedules: what their owners say of them, and their runs.

pub(crate) mod definitions;
pub(crate) mod rows;
pub(crate) mod runs;
