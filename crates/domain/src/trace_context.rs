//! The W3C Trace Context that requests and messages about a task carry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of a trace, as the header `traceparent` carries it (<https://www.w3.org/TR/trace-context/>, version 00).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    id: u128,
    span: u64,
    is_sampled: bool,
}

/// The text is not a valid `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a traceparent must be 00-(32 hex digits)-(16 hex digits)-(2 hex digits), in lower case, no id all zeros"
)]
pub struct InvalidTraceContext;

impl TraceContext {
    /// The header's name, in HTTP and in messages.
    pub const HEADER: &'static str = "traceparent";

    /// The span `span` of the trace `id`. `None`: one of the ids is zero, which the specification forbids.
    pub const fn of(id: u128, span: u64, is_sampled: bool) -> Option<Self> {
        if id == 0 || span == 0 { None } else { Some(Self { id, span, is_sampled }) }
    }

    /// The trace's id in the form that logs and tracing tools show: 32 hex digits.
    pub fn id(&self) -> impl fmt::Display + use<> {
        let id = self.id;
        fmt::from_fn(move |f| write!(f, "{id:032x}"))
    }

    /// The trace's id as a number.
    pub const fn raw_id(&self) -> u128 {
        self.id
    }

    /// The id of the span, which is the parent of the next one.
    pub const fn raw_span(&self) -> u64 {
        self.span
    }

    /// Whether the trace is sampled, that is, its spans are recorded.
    pub const fn is_sampled(&self) -> bool {
        self.is_sampled
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, u8::from(self.is_sampled))
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    /// Parses a `traceparent`. A later version may have more fields after the flags; they are ignored, as the specification
    /// demands.
    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let mut fields = text.splitn(5, '-');
        let mut next =
            |digits| fields.next().filter(|field| is_hex(field, digits)).ok_or(InvalidTraceContext);
        let version = number::<u8>(next(2)?)?;
        let (id, span, flags) = (next(32)?, next(16)?, next(2)?);
        if version == 0xff || (version == 0 && fields.next().is_some()) {
            return Err(InvalidTraceContext);
        }
        Self::of(number(id)?, number(span)?, number::<u8>(flags)? & 1 == 1).ok_or(InvalidTraceContext)
    }
}

impl Serialize for TraceContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn is_hex(field: &str, digits: usize) -> bool {
    field.len() == digits && field.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn number<T: TryFrom<u128>>(hex: &str) -> Result<T, InvalidTraceContext> {
    let number = u128::from_str_radix(hex, 16).map_err(|_| InvalidTraceContext)?;
    T::try_from(number).map_err(|_| InvalidTraceContext)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_context_is_parsed_as_it_is_written() {
        let trace: TraceContext = GOOD.parse().unwrap();
        assert_eq!(trace.to_string(), GOOD);
        assert_eq!(trace.id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(trace.is_sampled());
        assert_eq!(TraceContext::of(trace.raw_id(), trace.raw_span(), true), Some(trace));
        assert_eq!(serde_json::to_string(&trace).unwrap(), format!("\"{GOOD}\""));
        assert_eq!(serde_json::from_str::<TraceContext>(&format!("\"{GOOD}\"")).unwrap(), trace);
        assert!(serde_json::from_str::<TraceContext>("\"00\"").is_err());
    }

    #[test]
    fn a_later_version_may_have_more_fields_and_invalid_texts_are_refused() {
        assert!(GOOD.replacen("00", "cc", 1).parse::<TraceContext>().is_ok());
        assert!(format!("{}-more", GOOD.replacen("00", "cc", 1)).parse::<TraceContext>().is_ok());
        let bad = [
            "",
            "00",
            &format!("{GOOD}-more"),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-+0f067aa0ba902b7-01",
        ];
        for bad in bad {
            assert_eq!(bad.parse::<TraceContext>(), Err(InvalidTraceContext), "{bad}");
        }
    }
}
