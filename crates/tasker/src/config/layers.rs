//! Lays the sources over one another: the file, then the environment, then flags.
//!
//! Every setting has a default, so each source is read as a configuration of its own before it is laid over the
//! others. That is how an error can name its place: the line of the file, the variable, the flag.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::DeTable;
use toml::{Table, Value};

use super::{Config, ConfigError};
use crate::config::environment::Environment;

/// The file that is read when `--config` names none.
const FILE: &str = "tasker.toml";

/// What a variable of ours begins with. Kubernetes makes `TASKER_PORT` and the like for a service called `tasker`: one
/// underscore, so they cannot be taken for settings.
const PREFIX: &str = "TASKER__";

/// Settings that the environment may also name by a file: `TASKER__WORKER__PASSWORD_FILE`.
pub const SECRETS: [&str; 7] = [
    "database.url",
    "identity.database_url",
    "kafka.sasl_password",
    "kafka.ssl_key_password",
    "traces.headers",
    "worker.password",
    "worker.client_secret",
];

/// The settings gathered so far; what is added later wins.
#[derive(Debug, Default)]
pub struct Layers {
    table: Table,
    /// Where each of them comes from, by its name.
    origins: BTreeMap<String, String>,
    /// The settings file, there or not.
    file: Option<PathBuf>,
}

impl Layers {
    /// Adds the file at `path`, or `tasker.toml` where there is one.
    pub fn file(mut self, path: Option<&Path>) -> Result<Self, ConfigError> {
        let chosen = path.unwrap_or(Path::new(FILE));
        self.file = Some(chosen.to_owned());
        match std::fs::read_to_string(chosen) {
            Ok(text) => self.text(&chosen.display().to_string(), &text),
            Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(self),
            Err(error) => Err(ConfigError::new(format!(
                "the settings file {} cannot be read: {error}",
                chosen.display()
            ))),
        }
    }

    /// Adds what a file called `name` says.
    pub fn text(mut self, name: &str, text: &str) -> Result<Self, ConfigError> {
        let refuse = |error: toml::de::Error| {
            let place = error.span().map(|span| place(text, span.start)).unwrap_or_default();
            ConfigError::new(format!("{name}{place}: {}", sentence(error.message())))
        };
        toml::from_str::<Config>(text).map_err(refuse)?;
        let lines = lines(text);
        self.overlay(text.parse().map_err(refuse)?, |setting| match lines.get(setting) {
            Some(line) => format!("{name}, line {line}"),
            None => name.to_owned(),
        });
        Ok(self)
    }

    /// Adds every `TASKER__SECTION__KEY` of the environment.
    pub fn environment(mut self, environment: &Environment) -> Result<Self, ConfigError> {
        for (name, value) in environment.beginning_with(PREFIX) {
            let Some((plain, secret)) = secret_of(name) else {
                self = self.key(name, &setting_of(name), value)?;
                continue;
            };
            if environment.get(plain).is_some() {
                return Err(ConfigError::new(format!("{plain} and {name} are both set; which one counts?")));
            }
            self = self.key(name, secret, &read_secret(name, Path::new(value))?)?;
        }
        Ok(self)
    }

    /// Adds `SECTION.KEY=VALUE`, as `--set` spells it.
    pub fn assignment(self, text: &str) -> Result<Self, ConfigError> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| ConfigError::new(format!("--set {text}: write it as SECTION.KEY=VALUE")))?;
        self.key(&format!("--set {key}"), key, value)
    }

    /// Adds one key. `origin` is what the user wrote it as; the value is text, or a TOML value where text does not fit.
    pub fn key(mut self, origin: &str, key: &str, text: &str) -> Result<Self, ConfigError> {
        let Some((section, name)) = key.split_once('.').filter(|(_, name)| !name.contains('.')) else {
            return Err(ConfigError::new(format!("{origin}: a setting is named by its section and its key")));
        };
        let alone = |value| {
            let keys = Table::from_iter([(name.to_owned(), value)]);
            Table::from_iter([(section.to_owned(), Value::Table(keys))])
        };
        let as_text = alone(Value::String(text.to_owned()));
        let fitting = match (Config::deserialize(as_text.clone()), text.parse::<Value>()) {
            (Ok(_), _) => Ok(as_text),
            (Err(refusal), Err(_)) => Err(refusal),
            (Err(_), Ok(value)) => Config::deserialize(alone(value.clone())).map(|_| alone(value)),
        };
        let fitting = fitting
            .map_err(|refusal| ConfigError::new(format!("{origin}: {}", sentence(refusal.message()))))?;
        self.overlay(fitting, |_| origin.to_owned());
        Ok(self)
    }

    /// The configuration that all layers make together.
    pub fn build(&self) -> Result<Config, ConfigError> {
        Config::deserialize(self.table.clone()).map_err(|error| ConfigError::new(error.message()))
    }

    /// The settings file, and a secret that stands in it itself.
    pub fn secret_in_file(&self) -> Option<(&Path, &'static str)> {
        let path = self.file.as_deref()?;
        let begin = format!("{}, ", path.display());
        let stands = |secret: &&str| self.find(secret).is_some_and(|(_, origin)| origin.starts_with(&begin));
        Some((path, SECRETS.into_iter().find(stands)?))
    }

    /// What one of the sources says of a setting, and which; `None`: the default counts.
    pub fn find(&self, setting: &str) -> Option<(&Value, &str)> {
        let (section, key) = setting.split_once('.')?;
        Some((self.table.get(section)?.get(key)?, self.origins.get(setting)?))
    }

    /// Keys of `over` replace ours, one by one; `origin` says where each comes from.
    fn overlay(&mut self, over: Table, origin: impl Fn(&str) -> String) {
        for (section, keys) in over {
            for key in keys.as_table().into_iter().flat_map(Table::keys) {
                let setting = format!("{section}.{key}");
                let origin = origin(&setting);
                self.origins.insert(setting, origin);
            }
            match (self.table.get_mut(&section), keys) {
                (Some(Value::Table(ours)), Value::Table(theirs)) => ours.extend(theirs),
                (_, keys) => drop(self.table.insert(section, keys)),
            }
        }
    }
}

/// The line of each setting.
fn lines(text: &str) -> BTreeMap<String, usize> {
    let Ok(document) = DeTable::parse(text) else { return BTreeMap::new() };
    let mut lines = BTreeMap::new();
    for (section, keys) in document.get_ref() {
        for (key, _) in keys.get_ref().as_table().into_iter().flatten() {
            let line = 1 + text[..key.span().start].matches('\n').count();
            lines.insert(format!("{}.{}", section.get_ref(), key.get_ref()), line);
        }
    }
    lines
}

/// Reads a secret from the file that `origin` names; the newline that editors leave at its end is not part of it.
/// The setting that a variable names.
fn setting_of(variable: &str) -> String {
    variable[PREFIX.len()..].to_lowercase().replacen("__", ".", 1)
}

/// The secret that a variable names by its file, and the variable that would hold it itself.
fn secret_of(variable: &str) -> Option<(&str, &'static str)> {
    let plain = variable.strip_suffix("_FILE")?;
    let setting = setting_of(plain);
    SECRETS.into_iter().find(|secret| *secret == setting).map(|secret| (plain, secret))
}

/// The files that variables name for secrets, each with its variable.
pub fn secret_files(environment: &Environment) -> impl Iterator<Item = (&str, &Path)> {
    let named = environment.beginning_with(PREFIX).filter(|(name, _)| secret_of(name).is_some());
    named.map(|(name, path)| (name, Path::new(path)))
}

pub(super) fn read_secret(origin: &str, path: &Path) -> Result<String, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => match text.trim_end_matches(['\r', '\n']) {
            "" => Err(ConfigError::new(format!("{origin}: the secret file {} is empty", path.display()))),
            secret => Ok(secret.to_owned()),
        },
        Err(error) => {
            let path = path.display();
            Err(ConfigError::new(format!("{origin}: the secret file {path} cannot be read: {error}")))
        }
    }
}

/// Where in a file that is. The line itself is not shown: it may hold a secret, whatever its key is.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(", line {line}, column {column}")
}

/// What serde says, and what was meant.
fn sentence(message: &str) -> String {
    redact_value(message) + &hint(message)
}

/// What serde says, without the value that does not fit: that may be a secret.
fn redact_value(message: &str) -> String {
    let end = message.rfind(", expected ").filter(|_| message.starts_with("invalid "));
    let value = end.and_then(|end| Some((message[..end].find(['`', '"'])?, end)));
    match value {
        Some((begin, end)) => format!("{}{}", message[..begin].trim_end(), &message[end..]),
        None => message.to_owned(),
    }
}

/// The word that was meant. serde says: unknown field `prot`, expected one of `port`, `host`.
fn hint(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = words.next().filter(|_| message.starts_with("unknown "));
    let nearest = unknown.and_then(|unknown| {
        words
            .map(|known| (strsim::jaro_winkler(unknown, known), known))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|one, other| one.0.total_cmp(&other.0))
    });
    nearest.map_or_else(String::new, |(_, known)| format!("\ndid you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn later_layers_win() {
        let config = Layers::default()
            .key("tasker up", "worker.drain_ms", "1")
            .unwrap()
            .text("tasker.toml", "[worker]\nslots = 2\ndrain_ms = 2\nheartbeat_ms = 2")
            .unwrap()
            .environment(&environment(&[("TASKER__WORKER__SLOTS", "3"), ("TASKER__WORKER__DRAIN_MS", "3")]))
            .unwrap()
            .assignment("worker.slots=4")
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(config.worker.slots.get(), 4);
        assert_eq!(config.worker.drain_ms, 3);
        assert_eq!(config.worker.heartbeat_ms.get(), 2);
        assert_eq!(config.worker.delay_between_tasks_ms, 0);
    }

    #[test]
    fn every_value_knows_where_it_comes_from() {
        let layers = Layers::default()
            .text("tasker.toml", "[worker]\n\nslots = 2\ndrain_ms = 2\n[log]\nlevel = \"warn\"")
            .unwrap()
            .environment(&environment(&[("TASKER__WORKER__SLOTS", "3")]))
            .unwrap()
            .assignment("log.format=json")
            .unwrap();
        let origin = |setting: &str| layers.find(setting).map(|(_, origin)| origin.to_owned());
        assert_eq!(origin("worker.slots").as_deref(), Some("TASKER__WORKER__SLOTS"));
        assert_eq!(origin("worker.drain_ms").as_deref(), Some("tasker.toml, line 4"));
        assert_eq!(origin("log.level").as_deref(), Some("tasker.toml, line 6"));
        assert_eq!(origin("log.format").as_deref(), Some("--set log.format"));
        assert_eq!(origin("worker.name"), None);
    }

    #[test]
    fn a_value_is_text_where_text_fits_and_toml_where_it_does_not() {
        let config = Layers::default()
            .environment(&environment(&[
                ("TASKER__WORKER__USERNAME", "12345"),
                ("TASKER__WORKER__SIMULATE_WORK_MS", "[1, 2]"),
                ("TASKER__BACKEND__ALLOW_PLAINTEXT", "true"),
                ("TASKER__BACKEND__CORS_ORIGINS", r#"["https://a.example"]"#),
            ]))
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(config.worker.username.as_deref(), Some("12345"));
        assert_eq!(config.worker.simulate_work_ms, [1, 2]);
        assert!(config.backend.allow_plaintext);
        assert_eq!(config.backend.cors_origins, ["https://a.example"]);
    }

    #[test]
    fn an_error_names_its_place_and_what_was_meant() {
        let sentence = |layers: Result<Layers, ConfigError>| layers.unwrap_err().to_string();

        let file = sentence(Layers::default().text("tasker.toml", "[worker]\nslot = 4"));
        assert!(file.starts_with("tasker.toml, line 2, column 1: unknown field `slot`"), "{file}");
        assert!(file.ends_with("did you mean `slots`?"), "{file}");

        for secret in
            ["password = 1234567", "pasword = \"1234567\"", "password = \"1234567", "username = 1234567"]
        {
            let file = sentence(Layers::default().text("tasker.toml", &format!("[worker]\n{secret}")));
            assert!(file.starts_with("tasker.toml, line 2, ") && !file.contains("1234567"), "{file}");
        }

        let variable = environment(&[("TASKER__WROKER__SLOTS", "4")]);
        let variable = sentence(Layers::default().environment(&variable));
        assert!(variable.starts_with("TASKER__WROKER__SLOTS: unknown field"), "{variable}");
        assert!(variable.ends_with("did you mean `worker`?"), "{variable}");

        let flag = sentence(Layers::default().assignment("worker.slots=many"));
        assert!(flag.starts_with("--set worker.slots: invalid type"), "{flag}");
        assert!(!flag.contains("did you mean"), "{flag}");

        let word = sentence(Layers::default().assignment("log.format=jsn"));
        assert!(word.ends_with("did you mean `json`?"), "{word}");
    }

    #[test]
    fn variables_of_kubernetes_services_are_not_ours() {
        let config =
            environment(&[("TASKER_PORT", "tcp://10.0.0.1:80"), ("TASKER_SERVICE_HOST", "10.0.0.1")]);
        let built = Layers::default().environment(&config).unwrap().build().unwrap();
        assert_eq!(format!("{built:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn a_variable_without_a_section_is_refused() {
        for name in ["TASKER__SLOTS", "TASKER__WORKER__SLOTS__MORE"] {
            assert!(Layers::default().environment(&environment(&[(name, "1")])).is_err(), "{name}");
        }
    }

    #[test]
    fn a_secret_may_be_named_by_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, "correct horse\n").unwrap();
        let path = path.to_str().unwrap();

        let file = ("TASKER__WORKER__PASSWORD_FILE", path);
        let config = Layers::default().environment(&environment(&[file])).unwrap().build().unwrap();
        assert_eq!(config.worker.password.unwrap().expose_secret(), "correct horse");

        let both = environment(&[file, ("TASKER__WORKER__PASSWORD", "x")]);
        assert!(Layers::default().environment(&both).unwrap_err().to_string().contains("both set"));

        let absent = environment(&[("TASKER__WORKER__PASSWORD_FILE", "/nowhere/at/all")]);
        let sentence = Layers::default().environment(&absent).unwrap_err().to_string();
        assert!(sentence.contains("TASKER__WORKER__PASSWORD_FILE"), "{sentence}");
        assert!(sentence.contains("/nowhere/at/all"), "{sentence}");

        std::fs::write(path, "\n").unwrap();
        let empty = Layers::default().environment(&environment(&[file])).unwrap_err().to_string();
        assert!(empty.ends_with("is empty"), "{empty}");
    }
}
