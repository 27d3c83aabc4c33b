//! Tests of the rules of this repository that no compiler checks.

mod banned_words;
mod book;
mod boundaries;
mod guarantees;
mod kit;
mod module_cycles;
mod problem_types;
mod source_style;
