//! Questions before something is removed or ended.

use std::io::{IsTerminal, stderr, stdin};

use anyhow::{Context, Result};

use crate::config::error::ConfigError;
use crate::terminal;

/// Asks on the terminal.
///
/// # Errors
///
/// [`ConfigError`] without a terminal.
pub fn is_confirmed(question: &str) -> Result<bool> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(ConfigError::new("this is confirmed on a terminal; without one use --yes").into());
    }
    terminal::print_prompt(question);
    let mut answer = String::new();
    stdin().read_line(&mut answer).context("the answer cannot be read")?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
