//! The log format `json`: one flat object a line. The fields of the spans around an event stand beside its own, so that a field has the
//! same place on every line; `tracing-subscriber` would nest them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::terminal;

/// Formats events whose fields and spans are formatted by [`JsonFields`].
#[derive(Debug, Clone, Copy)]
pub struct FlatJson;

/// The fields of an event and of its spans, each as JSON.
type Fields = BTreeMap<String, Box<RawValue>>;

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'a str,
    target: &'a str,
    /// The name of the innermost span.
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<&'static str>,
    #[serde(flatten)]
    fields: Fields,
}

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::new();
        let mut innermost = None;
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            innermost = Some(span.name());
            if let Some(formatted) = span.extensions().get::<FormattedFields<JsonFields>>() {
                fields.extend(parse(formatted)?);
            }
        }
        let mut own = String::new();
        context.format_fields(Writer::new(&mut own), event)?;
        fields.extend(parse(&own)?);
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let (level, target) = (event.metadata().level().as_str(), event.metadata().target());
        let line = Line { timestamp: &timestamp, level, target, span: innermost, fields };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{}", terminal::escape_json(&line))
    }
}

/// The fields in an object of [`JsonFields`], which is empty text if there are none.
fn parse(object: &str) -> Result<Fields, fmt::Error> {
    if object.is_empty() {
        return Ok(Fields::new());
    }
    serde_json::from_str(object).map_err(|_| fmt::Error)
}
