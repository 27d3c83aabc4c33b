//! Identity through real HTTP, on both databases. `S..` are the numbers of the security check list.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clients;
mod discovery;
mod guessing;
mod house;
mod keys;
mod logs;
mod pages;
mod proofs;
mod register;
mod session;
mod token;
mod userinfo;
mod users;
