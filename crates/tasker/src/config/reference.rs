//! Every setting as the default file tells of it: the one text behind `config init`, `config show` and the book's page.

/// The default file: every key with its default, its rule and its unit.
pub const DEFAULT_FILE: &str = include_str!("../../tasker.default.toml");

/// A setting as the default file tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its section.
    pub section: &'static str,
    /// Its key.
    pub key: &'static str,
    /// Its default, as TOML; `None`: it has none.
    pub default: Option<&'static str>,
    /// What it is for.
    pub about: String,
}

impl Entry {
    /// As `--set` spells it.
    pub fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// As the environment spells it.
    pub fn variable(&self) -> String {
        format!("TASKER__{}__{}", self.section.to_uppercase(), self.key.to_uppercase())
    }
}

/// Every setting, in the order of the file. Keys below one comment share it.
pub fn entries() -> Vec<Entry> {
    let (mut section, mut about, mut is_open) = ("", Vec::new(), false);
    let mut entries = Vec::new();
    for line in DEFAULT_FILE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            (section, about) = (name.trim_end_matches(']'), Vec::new());
        } else if let Some((key, value)) = assignment(line) {
            let default = (!line.starts_with('#')).then_some(value);
            entries.push(Entry { section, key, default, about: about.join(" ") });
            is_open = false;
        } else if let Some(words) = line.strip_prefix('#') {
            if !is_open {
                about = Vec::new();
            }
            about.push(words.trim());
            is_open = true;
        }
    }
    entries
}

/// A key and its value, also where it is only shown.
fn assignment(line: &'static str) -> Option<(&'static str, &'static str)> {
    let (key, value) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
    let is_key = key.chars().all(|character| character.is_ascii_lowercase() || character == '_');
    is_key.then_some((key, value))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const HEAD: &str = "<!-- `make golden` writes the tables below from the code. -->\n";

    /// Who reads a section.
    fn readers(section: &str) -> &'static str {
        match section {
            "database" => "Backend and Identity",
            "kafka" | "traces" => "Backends and workers",
            "backend" => "Backend",
            "identity" => "Identity",
            "worker" => "workers",
            _ => "every role",
        }
    }

    fn tables() -> String {
        let (mut text, mut section) = (HEAD.to_owned(), "");
        for entry in entries() {
            if entry.section != section {
                section = entry.section;
                let _ = write!(
                    text,
                    "\n## `[{section}]`\n\nRead by {}.\n\n| key | default | is |\n| --- | --- | --- |\n",
                    readers(section)
                );
            }
            let default = entry.default.map(|default| format!("`{default}`")).unwrap_or_default();
            let _ = writeln!(text, "| `{}` | {default} | {} |", entry.key, entry.about.replace('|', "\\|"));
        }
        text
    }

    #[test]
    fn every_setting_is_found_with_its_comment() {
        let entries = entries();
        let of = |name: &str| entries.iter().find(|entry| entry.name() == name).expect(name);
        assert_eq!((of("worker.slots").default, of("worker.name").default), (Some("8"), None));
        assert_eq!(of("kafka.replication").about, of("kafka.partitions").about);
        assert_eq!(of("worker.slots").variable(), "TASKER__WORKER__SLOTS");
        assert!(entries.iter().all(|entry| !entry.about.is_empty()), "{entries:#?}");
        assert!(of("backend.listen").about.starts_with("The REST API"), "{:?}", of("backend.listen"));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "golden files are rewritten on request")]
    fn the_manual_has_every_setting() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let manual = std::fs::read_to_string(path).unwrap();
        let (before, written) = manual.split_once(HEAD).expect("the mark before the tables");
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            std::fs::write(path, format!("{before}{}", tables())).unwrap();
        } else {
            assert_eq!(format!("{HEAD}{written}"), tables(), "`make golden` rewrites docs/settings.md");
        }
    }
}
