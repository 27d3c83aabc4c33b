//! Tests of the client against a scripted server that plays Identity and Backend.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod calls;
mod events;
mod kit;
mod token_source;
