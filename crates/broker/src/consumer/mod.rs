//! Consuming the messages of a topic: poll loop, offsets, and the subscription that a reader holds.

pub(crate) mod callbacks;
pub(crate) mod consume_loop;
pub(crate) mod message_metadata;
pub(crate) mod message_receiver;
pub(crate) mod offset_tracker;
