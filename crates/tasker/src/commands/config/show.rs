//! Every setting, its value and where that comes from. Secrets are not shown, whoever looks.

use std::io;

use clap::ValueEnum;
use serde::Serialize;
use toml::Value;

use crate::config::{Entry, Layers, SECRETS, entries};
use crate::terminal;

/// For whom settings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For eyes.
    Table,
    /// For machines: an array of objects, in one line.
    Json,
}

/// A setting as it is shown.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Shown {
    setting: String,
    /// How the environment spells it.
    variable: String,
    /// As TOML; `null`: it has none.
    value: Option<String>,
    origin: String,
}

/// Prints them all.
pub fn print(layers: &Layers, form: Form) -> io::Result<()> {
    let all: Vec<Shown> = entries().iter().map(|entry| shown(entry, layers)).collect();
    match form {
        Form::Json => terminal::line(&serde_json::to_string(&all)?),
        Form::Table => terminal::line(&table(&all)),
    }
}

fn table(all: &[Shown]) -> String {
    let width = all.iter().map(|shown| shown.setting.len()).max().unwrap_or(0);
    let line = |Shown { setting, value, origin, .. }: &Shown| {
        let value = value.as_deref().unwrap_or("-");
        format!("{setting:<width$}  {}  ({origin})", terminal::plain(value))
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn shown(entry: &Entry, layers: &Layers) -> Shown {
    let setting = entry.name();
    let (value, origin) = match layers.find(&setting) {
        Some((value, origin)) => (Some(masked(&setting, value)), origin.to_owned()),
        None => (entry.default.map(str::to_owned), "default".to_owned()),
    };
    Shown { setting, variable: entry.variable(), value, origin }
}

/// The value, without what opens doors: a secret, and what librdkafka may be told.
fn masked(setting: &str, value: &Value) -> String {
    match value {
        Value::Table(properties) if setting == "kafka.properties" => {
            let keys: Vec<&str> = properties.keys().map(String::as_str).collect();
            format!("{{ {} }} (values are not shown)", keys.join(", "))
        }
        _ if SECRETS.contains(&setting) => "(secret)".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_the_rest_is() {
        let layers = Layers::default()
            .assignment("database.url=postgres://ann:hush@db/tasker")
            .unwrap()
            .assignment(
                r#"kafka.properties={ "sasl.oauthbearer.client.secret" = "hush", "linger.ms" = "5" }"#,
            )
            .unwrap()
            .assignment("worker.password=hush")
            .unwrap()
            .assignment("worker.slots=4")
            .unwrap();
        let all: Vec<Shown> = entries().iter().map(|entry| shown(entry, &layers)).collect();
        let text = table(&all);
        assert!(!text.contains("hush"), "{text}");
        assert!(text.contains("database.url") && text.contains("(secret)  (--set database.url)"), "{text}");
        assert!(text.contains("linger.ms"), "{text}");
        let of = |name: &str| all.iter().find(|shown| shown.setting == name).unwrap();
        assert_eq!(of("worker.slots").value.as_deref(), Some("4"));
        assert_eq!(
            (of("worker.drain_ms").value.as_deref(), &*of("worker.drain_ms").origin),
            (Some("30000"), "default")
        );
        assert_eq!(of("worker.name").value, None);
    }
}
