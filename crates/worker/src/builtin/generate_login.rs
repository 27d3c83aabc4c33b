//! `GENERATE_LOGIN`: generates a random login.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::builtin::integer;
use crate::builtin::simulated_work::simulate_work;
use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation};

/// The operation `GENERATE_LOGIN`: a login of random characters, each with the same probability, from a cryptographically
/// secure generator.
pub struct GenerateLogin {
    /// How long each run takes, as simulated work; zero to zero for none.
    pub simulate_work: RangeInclusive<Duration>,
}

/// Generates a login of random letters and digits, after a time of simulated work.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Params {
    /// How many characters.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(deserialize_with = "integer::read")]
    length: u16,
    /// The characters to choose from. One that is repeated counts once.
    #[schemars(length(min = 1, max = 1000))]
    alphabet: String,
}

impl Default for Params {
    fn default() -> Self {
        let letters_and_digits = ('A'..='Z').chain('a'..='z').chain('0'..='9').collect();
        Self { length: 10, alphabet: letters_and_digits }
    }
}

impl Operation for GenerateLogin {
    const TYPE: &'static str = "GENERATE_LOGIN";
    const DESCRIPTION: &'static str = "Generates a login: random letters and digits";
    type Params = Params;
    type Output = String;

    async fn run(&self, params: Params, _context: Context) -> Result<String, Failure> {
        simulate_work(&self.simulate_work).await;
        Ok(login(&params))
    }
}

fn login(Params { length, alphabet }: &Params) -> String {
    let distinct: Vec<char> = alphabet.chars().collect::<BTreeSet<_>>().into_iter().collect();
    let mut rng = rand::rng();
    (0..*length).map(|_| distinct[rng.random_range(0..distinct.len())]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_ten_letters_and_digits_by_default() {
        let login = login(&Params::default());
        assert_eq!(login.len(), 10);
        assert!(login.bytes().all(|b| b.is_ascii_alphanumeric()), "{login}");
    }

    #[test]
    fn a_login_uses_every_character_of_its_alphabet_and_no_other() {
        let login = login(&Params { length: 1000, alphabet: "aaaaaaя🦀".to_owned() });
        assert_eq!(login.chars().count(), 1000);
        assert_eq!(login.chars().collect::<BTreeSet<_>>(), BTreeSet::from(['a', 'я', '🦀']));
        let share = login.chars().filter(|c| *c == 'a').count();
        assert!(
            (200..470).contains(&share),
            "a repeated character is as likely as the others: {share} of 1000"
        );
    }
}
