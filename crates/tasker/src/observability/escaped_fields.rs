//! The fields of the log format `text`, of which the message is one: text from elsewhere cannot begin a line or command a terminal.

use std::fmt;

use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};

use crate::terminal;

/// Formats fields as `tracing-subscriber` does, with the display controls in them escaped: it escapes some of them only. Colours are left
/// to what stands around the fields.
#[derive(Debug, Default)]
pub struct EscapedFields(DefaultFields);

impl<'writer> FormatFields<'writer> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut text = String::new();
        self.0.format_fields(Writer::new(&mut text), fields)?;
        writer.write_str(&terminal::escape_line(&text))
    }
}
