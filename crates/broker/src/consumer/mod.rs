//! Reading messages from Kafka and committing their offsets.

pub(crate) mod consume_loop;
pub(crate) mod offset_tracker;
pub(crate) mod subscription;
