//! The client as its servers see it: a real client against a scripted Identity and Backend.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod calls;
mod kit;
mod token_source;
