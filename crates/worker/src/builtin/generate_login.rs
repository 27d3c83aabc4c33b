//! `GENERATE_LOGIN`: a name that nobody has yet, most likely.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::builtin::simulated;
use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation};

/// Makes a login out of random characters, each as likely as any other, from a generator fit for secrets.
pub struct GenerateLogin {
    /// The original simulates long work; this is how long.
    pub simulate_work: RangeInclusive<Duration>,
}

/// What the login is made of.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Params {
    /// How many characters.
    #[schemars(range(min = 1, max = 1000))]
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
    type Params = Params;
    type Output = String;

    async fn run(&self, params: Params, _context: Context) -> Result<String, Failure> {
        simulated(&self.simulate_work).await;
        Ok(login(&params))
    }
}

fn login(Params { length, alphabet }: &Params) -> String {
    let distinct: Vec<char> = alphabet.chars().collect::<BTreeSet<_>>().into_iter().collect();
    let mut chance = rand::rng();
    (0..*length).map(|_| distinct[chance.random_range(0..distinct.len())]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ten_letters_and_digits_unless_told_otherwise() {
        let made = login(&Params::default());
        assert_eq!(made.len(), 10);
        assert!(made.bytes().all(|b| b.is_ascii_alphanumeric()), "{made}");
    }

    #[test]
    fn it_uses_every_character_of_its_alphabet_and_no_other() {
        let made = login(&Params { length: 1000, alphabet: "aaaaaaя🦀".to_owned() });
        assert_eq!(made.chars().count(), 1000);
        assert_eq!(made.chars().collect::<BTreeSet<_>>(), BTreeSet::from(['a', 'я', '🦀']));
        let share = made.chars().filter(|c| *c == 'a').count();
        assert!((200..470).contains(&share), "a repeated character is no more likely: {share} of 1000");
    }
}
