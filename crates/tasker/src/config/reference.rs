//! The list of all settings, read from `tasker.default.toml`: the source of `config init`, `config show` and docs/settings.md.

/// The default settings file: every key with its default, its meaning and its unit.
pub const DEFAULT_FILE: &str = include_str!("../../tasker.default.toml");

/// The head of the file that `tasker config init` writes.
const COMMENTED_HEAD: &str = "\
# Every setting of Tasker, each as a comment: remove the `# ` before a key to set it. A key has its default here, or an example.
";

/// The settings file that `tasker config init` writes: the default settings file with every key as a comment, so that it sets
/// nothing and a later default, or that of `tasker up`, holds.
pub fn commented_file() -> String {
    let body = DEFAULT_FILE.split_once('\n').map_or(DEFAULT_FILE, |(_, body)| body);
    let line = |line: &'static str| match assignment(line) {
        None => format!("{line}\n"),
        Some(_) if line.starts_with('#') => format!("{line} # an example: there is no default\n"),
        Some(_) => format!("# {line}\n"),
    };
    COMMENTED_HEAD.to_owned() + &body.lines().map(line).collect::<String>()
}

/// A setting as `tasker.default.toml` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The section, such as `worker`.
    pub section: &'static str,
    /// The key in the section, such as `slots`.
    pub key: &'static str,
    /// The default value as TOML; `None` if there is no default.
    pub default: Option<&'static str>,
    /// The description: the comment above the key.
    pub about: String,
}

impl Entry {
    /// The name as `--set` takes it: `SECTION.KEY`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The environment variable: `TASKER__SECTION__KEY`.
    pub fn variable(&self) -> String {
        format!("TASKER__{}__{}", self.section.to_uppercase(), self.key.to_uppercase())
    }
}

/// Every setting, in the order of the file.
pub fn entries() -> Vec<Entry> {
    let (mut section, mut about) = ("", Vec::new());
    let mut entries = Vec::new();
    for line in DEFAULT_FILE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            (section, about) = (name.trim_end_matches(']'), Vec::new());
        } else if let Some((key, value)) = assignment(line) {
            let default = (!line.starts_with('#')).then_some(value);
            entries.push(Entry { section, key, default, about: std::mem::take(&mut about).join(" ") });
        } else if let Some(comment) = line.strip_prefix('#') {
            about.push(comment.trim());
        }
    }
    entries
}

/// The key and the value of a line, also of one that is commented out because the key has no default.
fn assignment(line: &'static str) -> Option<(&'static str, &'static str)> {
    let (key, value) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
    let is_key = key.chars().all(|character| character.is_ascii_lowercase() || character == '_');
    is_key.then_some((key, value))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::config::layers::Layers;
    use crate::config::sections::Config;

    const HEAD: &str = "<!-- `make golden` writes the tables below from the code. -->\n";

    /// The services that read a section.
    fn readers(section: &str) -> &'static str {
        match section {
            "database" => "Backend and Identity",
            "kafka" | "traces" => "Backends and workers",
            "backend" => "Backend",
            "identity" => "Identity",
            "worker" => "workers",
            _ => "every service",
        }
    }

    fn tables() -> String {
        let (mut text, mut section) = (HEAD.to_owned(), "");
        for entry in entries() {
            if entry.section != section {
                section = entry.section;
                let _ = write!(
                    text,
                    "\n## `[{section}]`\n\nRead by {}.\n\n| key | default | meaning |\n| --- | --- | --- |\n",
                    readers(section)
                );
            }
            let default = entry.default.map(|default| format!("`{default}`")).unwrap_or_default();
            let _ = writeln!(text, "| `{}` | {default} | {} |", entry.key, entry.about.replace('|', "\\|"));
        }
        text
    }

    #[test]
    fn the_commented_file_sets_nothing_and_is_valid_with_every_comment_removed() {
        let file = commented_file();
        let table: toml::Table = file.parse().unwrap();
        assert!(
            table.values().all(|section| section.as_table().is_some_and(toml::Table::is_empty)),
            "{table}"
        );
        let keys: Vec<&str> = file.lines().filter(|line| is_setting(line)).collect();
        let examples = keys.iter().filter(|line| line.ends_with("# an example: there is no default")).count();
        let entries = entries();
        assert_eq!(keys.len(), entries.len());
        assert_eq!(examples, entries.iter().filter(|entry| entry.default.is_none()).count());
        for line in keys {
            assert!(line[2..].parse::<toml::Table>().is_ok(), "{line}");
        }
    }

    fn is_setting(line: &str) -> bool {
        let key = line.strip_prefix("# ").and_then(|line| line.split_once(" = "));
        key.is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    }

    #[test]
    fn every_setting_has_a_comment_of_its_own() {
        let entries = entries();
        let of = |name: &str| entries.iter().find(|entry| entry.name() == name).expect(name);
        assert_eq!((of("worker.slots").default, of("worker.name").default), (Some("8"), None));
        assert_eq!(of("worker.slots").variable(), "TASKER__WORKER__SLOTS");
        let without: Vec<String> =
            entries.iter().filter(|entry| entry.about.is_empty()).map(Entry::name).collect();
        assert!(without.is_empty(), "no comment of their own: {without:?}");
        assert!(
            of("backend.listen").about.starts_with("The address and port of the REST API"),
            "{:?}",
            of("backend.listen")
        );
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "golden files are rewritten on request")]
    fn the_settings_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let manual = std::fs::read_to_string(path).unwrap();
        let (before, written) = manual.split_once(HEAD).expect("the marker before the tables");
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            std::fs::write(path, format!("{before}{}", tables())).unwrap();
        } else {
            assert_eq!(format!("{HEAD}{written}"), tables(), "`make golden` rewrites docs/settings.md");
        }
    }

    #[test]
    fn the_default_file_has_the_defaults() {
        let config =
            Layers::default().add_text("tasker.default.toml", DEFAULT_FILE).unwrap().build().unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn the_examples_of_the_default_file_are_valid() {
        let shown = |line: &str| {
            let line = line.strip_prefix("# ").unwrap_or(line);
            line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
        };
        let everything: Vec<&str> = DEFAULT_FILE.lines().filter(|line| shown(line)).collect();
        let everything = everything.iter().map(|line| line.strip_prefix("# ").unwrap_or(line));
        let everything: String = everything.flat_map(|line| [line, "\n"]).collect();
        let config = Layers::default().add_text("tasker.default.toml", &everything).unwrap().build().unwrap();
        assert!(config.worker.client_secret.is_some());
    }

    #[test]
    fn the_default_file_names_every_key() {
        for section in ["database", "kafka", "backend", "identity", "worker", "metrics", "traces", "log"] {
            let refusal = Layers::default()
                .add_assignment(&format!("{section}.no_such_key=1"))
                .unwrap_err()
                .to_string();
            let keys: Vec<&str> = refusal.split('`').skip(3).step_by(2).collect();
            assert!(!keys.is_empty(), "{refusal}");
            let (_, rest) = DEFAULT_FILE.split_once(&format!("[{section}]\n")).expect(section);
            let shown = rest.split_once("\n[").map_or(rest, |(shown, _)| shown);
            for key in keys {
                assert!(shown.contains(&format!("{key} = ")), "{section}.{key}");
            }
        }
    }
}
