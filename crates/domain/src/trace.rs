//! Which trace a task's messages belong to: the W3C Trace Context that travels with them.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A place in a trace: the header `traceparent` (<https://www.w3.org/TR/trace-context/>, version 00).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: u128,
    span: u64,
    flags: u8,
}

/// The text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a traceparent is 00-(32 hex digits)-(16 hex digits)-(2 hex digits), in lower case, no id all zeros")]
pub struct BadTrace;

impl Trace {
    /// The header's name, in HTTP and in messages.
    pub const HEADER: &'static str = "traceparent";

    /// A new trace, not sampled: nobody asked for more than its id.
    pub fn new() -> Self {
        Self { id: Uuid::new_v4().as_u128(), span: new_span(), flags: 0 }
    }

    /// The next step of the same trace.
    #[must_use]
    pub fn step(self) -> Self {
        Self { span: new_span(), ..self }
    }

    /// The trace's id as logs and other tools show it.
    pub fn id(&self) -> impl fmt::Display + use<> {
        let id = self.id;
        fmt::from_fn(move |f| write!(f, "{id:032x}"))
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

impl FromStr for Trace {
    type Err = BadTrace;

    /// A later version may have more after the flags; what this one knows of it counts.
    fn from_str(text: &str) -> Result<Self, BadTrace> {
        let mut fields = text.splitn(5, '-');
        let mut next = |digits| fields.next().filter(|field| is_hex(field, digits)).ok_or(BadTrace);
        let version = number::<u8>(next(2)?)?;
        let (id, span, flags) = (next(32)?, next(16)?, next(2)?);
        if version == 0xff || (version == 0 && fields.next().is_some()) {
            return Err(BadTrace);
        }
        let trace = Self { id: number(id)?, span: number(span)?, flags: number::<u8>(flags)? & 1 };
        if trace.id == 0 || trace.span == 0 { Err(BadTrace) } else { Ok(trace) }
    }
}

fn new_span() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

fn is_hex(field: &str, digits: usize) -> bool {
    field.len() == digits && field.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn number<T: TryFrom<u128>>(hex: &str) -> Result<T, BadTrace> {
    let number = u128::from_str_radix(hex, 16).map_err(|_| BadTrace)?;
    T::try_from(number).map_err(|_| BadTrace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_step_stays_in_its_trace() {
        let trace: Trace = GOOD.parse().unwrap();
        assert_eq!(trace.to_string(), GOOD);
        assert_eq!(trace.id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let step = trace.step();
        assert_eq!(step.id().to_string(), trace.id().to_string());
        assert_ne!(step, trace);
        assert_eq!(Trace::new().to_string().parse::<Trace>().unwrap().to_string().len(), GOOD.len());
    }

    #[test]
    fn a_later_version_may_say_more_and_nonsense_is_refused() {
        assert!(GOOD.replacen("00", "cc", 1).parse::<Trace>().is_ok());
        assert!(format!("{}-more", GOOD.replacen("00", "cc", 1)).parse::<Trace>().is_ok());
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
            assert_eq!(bad.parse::<Trace>(), Err(BadTrace), "{bad}");
        }
    }
}
