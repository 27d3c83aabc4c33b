//! The messages: a ticket says that a task is ready, a posted result what became of a grant. JSON with a version.

use domain::{Attempt, ClaimId, RawJson, Report, ReportOutcome, TaskId, TypeName, WorkerName};
use serde::{Deserialize, Deserializer, Serialize};

/// The version that is written; a new one is read a release before it is written.
const VERSION: u32 = 1;

/// What a topic of ours carries.
pub trait Message: Sized + Send + 'static {
    /// A message that is longer than this is none, in bytes.
    const LONGEST: usize;

    /// Reads a message. Fields that it does not know may stand there.
    fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage>;
}

/// Why a message goes to the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMessage {
    /// It is longer than any of ours.
    #[error("too long: {length} bytes, and {longest} are the most")]
    TooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        longest: usize,
    },
    /// A program of another release wrote it.
    #[error("unknown version {0}; this program reads version {VERSION}")]
    Version(u32),
    /// It is not JSON, or not of the form that its version has.
    #[error("undecodable: {0}")]
    Undecodable(#[from] serde_json::Error),
    /// It carries both a result and an error, or neither.
    #[error("a result message carries either a result or an error")]
    Ambiguous,
    /// The Backend could not settle it, and no later try would end otherwise.
    #[error("cannot be settled: {0}")]
    Unsettled(String),
}

/// A task is ready: whoever gets this may claim it. It carries neither parameters nor secrets, and no permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Which task.
    pub id: TaskId,
    /// Its operation.
    #[serde(rename = "type")]
    pub name: TypeName,
    /// The number that the grant would have.
    pub attempt: Attempt,
}

/// What a worker says of a grant: its result or its failure. (A release is said over HTTP.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultMessage {
    /// Who speaks.
    pub worker: WorkerName,
    /// About which grant, and what.
    pub report: Report,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    v: u32,
    #[serde(flatten)]
    message: &'a T,
}

#[derive(Deserialize)]
struct Head {
    v: u32,
}

/// A posted result as it is written.
#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    id: TaskId,
    attempt: Attempt,
    claim: ClaimId,
    worker: &'a WorkerName,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// The same as it is read. A result may be `null`, which is not to be without one.
#[derive(Deserialize)]
struct Read {
    id: TaskId,
    attempt: Attempt,
    claim: ClaimId,
    worker: WorkerName,
    #[serde(default, deserialize_with = "present")]
    result: Option<RawJson>,
    error: Option<String>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RawJson>, D::Error> {
    RawJson::deserialize(deserializer).map(Some)
}

/// Checks what holds for every message before the rest of it is read.
fn check(bytes: &[u8], longest: usize) -> Result<(), InvalidMessage> {
    if bytes.len() > longest {
        return Err(InvalidMessage::TooLong { length: bytes.len(), longest });
    }
    match serde_json::from_slice::<Head>(bytes)?.v {
        VERSION => Ok(()),
        other => Err(InvalidMessage::Version(other)),
    }
}

impl Ticket {
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&Versioned { v: VERSION, message: self }).expect("names and numbers are JSON")
    }
}

impl Message for Ticket {
    const LONGEST: usize = 4 << 10;

    fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        check(bytes, Self::LONGEST)?;
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl ResultMessage {
    /// `None` for a release, which no message says.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let Report { id, attempt, claim, reported, .. } = &self.report;
        let (result, error) = match reported {
            ReportOutcome::Result(result) => (Some(result), None),
            ReportOutcome::Error(error) => (None, Some(error.as_str())),
            ReportOutcome::Released => return None,
        };
        let (id, attempt, claim) = (*id, *attempt, *claim);
        let written = Written { v: VERSION, id, attempt, claim, worker: &self.worker, result, error };
        Some(serde_json::to_vec(&written).expect("names and documents are JSON"))
    }
}

impl Message for ResultMessage {
    const LONGEST: usize = 1 << 20;

    fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        check(bytes, Self::LONGEST)?;
        let Read { id, attempt, claim, worker, result, error } = serde_json::from_slice(bytes)?;
        let reported = match (result, error) {
            (Some(result), None) => ReportOutcome::Result(result),
            (None, Some(error)) => ReportOutcome::Error(error),
            _ => return Err(InvalidMessage::Ambiguous),
        };
        Ok(Self { worker, report: Report { id, attempt, claim, reported, trace: None } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract, as programs in other languages read it.
    const DOCUMENT: &str = include_str!("../../../docs/asyncapi.yaml");

    fn ticket() -> Ticket {
        let id = "019abe40-7c1e-7d52-8f6a-3f0c5a9be2d1".parse().unwrap();
        Ticket { id, name: "GENERATE_LOGIN".parse().unwrap(), attempt: 1 }
    }

    fn posted(reported: ReportOutcome) -> ResultMessage {
        let claim = "6f1c2d0e-58b7-4a52-9d3c-0c3a1f8e7b64".parse().unwrap();
        let report = Report { id: ticket().id, attempt: 1, claim, reported, trace: None };
        ResultMessage { worker: "rig-7".parse().unwrap(), report }
    }

    #[test]
    fn the_published_messages_are_the_ones_that_are_written_and_read() {
        let published = |message: &[u8]| {
            let line = format!("payload: {}", std::str::from_utf8(message).unwrap());
            assert!(DOCUMENT.lines().any(|found| found.trim() == line), "not in docs/asyncapi.yaml: {line}");
        };
        published(&ticket().encode());
        assert_eq!(Ticket::decode(&ticket().encode()).unwrap(), ticket());
        let result = RawJson::parse(r#""q7Zp2LmX0a""#.to_owned()).unwrap();
        for reported in
            [ReportOutcome::Result(result), ReportOutcome::Error("the mail server is away".to_owned())]
        {
            let message = posted(reported);
            let bytes = message.encode().unwrap();
            published(&bytes);
            assert_eq!(ResultMessage::decode(&bytes).unwrap(), message);
        }
        assert_eq!(posted(ReportOutcome::Released).encode(), None);
    }

    #[test]
    fn a_result_of_null_is_a_result_and_its_bytes_come_back() {
        for text in ["null", r#"{ "big": 18446744073709551616, "nul": "\u0000" }"#] {
            let message = posted(ReportOutcome::Result(RawJson::parse(text.to_owned()).unwrap()));
            assert_eq!(ResultMessage::decode(&message.encode().unwrap()).unwrap(), message);
        }
    }

    #[test]
    fn what_is_none_of_ours_says_why() {
        let cause = |bytes: &[u8]| ResultMessage::decode(bytes).unwrap_err().to_string();
        assert_eq!(cause(br#"{"v":2}"#), "unknown version 2; this program reads version 1");
        assert!(cause(b"\xff\xfe").starts_with("undecodable: "));
        assert!(cause(br#"{"v":1,"id":7}"#).starts_with("undecodable: "));
        assert!(cause(&vec![b' '; ResultMessage::LONGEST + 1]).starts_with("too long: 1048577 bytes"));
        let neither = posted(ReportOutcome::Error(String::new())).encode().unwrap();
        let neither = String::from_utf8(neither).unwrap().replace(r#","error":"""#, "");
        assert_eq!(cause(neither.as_bytes()), "a result message carries either a result or an error");
        let later = String::from_utf8(ticket().encode()).unwrap().replace(r#""v":1"#, r#""v":1,"later":[]"#);
        assert_eq!(Ticket::decode(later.as_bytes()).unwrap(), ticket(), "unknown fields may stand there");
    }
}
