//! The notation of labels on the command line: `team=payments`.

use domain::Label;

/// Parses a label.
///
/// # Errors
///
/// If it is not `KEY=VALUE`, or breaks a rule of keys or values.
pub fn parse(text: &str) -> Result<Label, String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Label::new(key, value).map_err(|error| error.to_string())
}

/// The label as a word of a shell.
pub fn quoted(Label { key, value }: &Label) -> String {
    let word = format!("{key}={}", value.as_str());
    let is_plain = |c: char| c.is_alphanumeric() || "=._/-:@,+".contains(c);
    if word.chars().all(is_plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_written_as_it_is_read() {
        let label = parse("team=it's me").unwrap();
        assert_eq!((label.key.as_str(), label.value.as_str()), ("team", "it's me"));
        assert_eq!(quoted(&label), r"'team=it'\''s me'");
        assert_eq!(quoted(&parse("team=a=b").unwrap()), "team=a=b");
        assert!(parse("team").unwrap_err().contains("KEY=VALUE"));
        assert!(parse("two words=x").unwrap_err().contains("1 to 63"));
    }
}
