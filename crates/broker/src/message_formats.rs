//! The messages: a ticket announces a task that is ready, a result message reports a grant. JSON with a version.

use domain::{
    Attempt, AttemptOutcome, ClaimId, InstallationId, LossyString, Priority, RawJson, Report, RetryHint,
    TaskId, TypeName, WorkerName,
};
use serde::{Deserialize, Deserializer, Serialize};

/// The version of the messages that are written. A new version is read one release before it is written.
const VERSION: u32 = 1;

/// A message that can be received from a topic.
pub trait Message: Sized + Send + 'static {
    /// The maximum length of an encoded message, in bytes.
    const MAX_BYTES: usize;

    /// The installation whose message it is.
    fn installation(&self) -> InstallationId;

    /// Decodes a message; unknown fields are ignored.
    fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage>;
}

/// Why a message goes to the dead letter queue.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMessage {
    /// The message exceeds the maximum length.
    #[error("too long: {length} bytes, at most {max} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The maximum length in bytes.
        max: usize,
    },
    /// The message was written by a program of another release.
    #[error("unknown version {0}; this program reads version {VERSION}")]
    Version(u32),
    /// The message is not JSON, or does not match the schema of its version.
    #[error("undecodable: {0}")]
    Undecodable(#[from] serde_json::Error),
    /// The message has both a result and an error, or neither.
    #[error("a result message must have either a result or an error")]
    Ambiguous,
    /// The Backend could not settle the report, and retrying would fail in the same way.
    #[error("cannot be settled: {0}")]
    Unsettled(String),
}

/// Announces a task that is ready: a worker that receives it may claim the task. It has no parameters, no secrets, and grants
/// no permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The task's id.
    pub id: TaskId,
    /// The task's type, which names its operation.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The number that the attempt has if this ticket leads to a grant.
    pub attempt: Attempt,
    /// The task's priority; absent in the message: the default.
    #[serde(default, skip_serializing_if = "Priority::is_default")]
    pub priority: Priority,
    /// The installation whose task it is.
    pub installation: InstallationId,
}

/// A worker's report of a grant: the result or the failure. A release is reported over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultMessage {
    /// The installation whose task it is.
    pub installation: InstallationId,
    /// The worker that reports.
    pub worker: WorkerName,
    /// The grant and its outcome.
    pub report: Report,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    v: u32,
    #[serde(flatten)]
    message: &'a T,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

/// A result message as it is encoded.
#[derive(Serialize)]
struct EncodedResult<'a> {
    v: u32,
    id: TaskId,
    r#type: &'a TypeName,
    attempt: Attempt,
    claim: ClaimId,
    installation: InstallationId,
    worker: &'a WorkerName,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<RetryHint>,
}

/// A result message as it is decoded. A result of `null` differs from an absent one.
#[derive(Deserialize)]
struct DecodedResult {
    id: TaskId,
    r#type: TypeName,
    attempt: Attempt,
    claim: ClaimId,
    installation: InstallationId,
    worker: WorkerName,
    #[serde(default, deserialize_with = "deserialize_some")]
    result: Option<RawJson>,
    error: Option<LossyString>,
    retry: Option<RetryHint>,
}

/// Deserializes a field that is present, `null` included, as `Some`.
fn deserialize_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RawJson>, D::Error> {
    RawJson::deserialize(deserializer).map(Some)
}

/// Checks the length and the version of a message before the rest is decoded.
fn check(bytes: &[u8], max: usize) -> Result<(), InvalidMessage> {
    if bytes.len() > max {
        return Err(InvalidMessage::TooLong { length: bytes.len(), max });
    }
    match serde_json::from_slice::<VersionOnly>(bytes)?.v {
        VERSION => Ok(()),
        other => Err(InvalidMessage::Version(other)),
    }
}

impl Ticket {
    /// Encodes the ticket as JSON.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&Versioned { v: VERSION, message: self }).expect("names and numbers are JSON")
    }
}

impl Message for Ticket {
    const MAX_BYTES: usize = 4 << 10;

    fn installation(&self) -> InstallationId {
        self.installation
    }

    fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        check(bytes, Self::MAX_BYTES)?;
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl ResultMessage {
    /// Encodes the message as JSON; `None` for a release, for which there is no message.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let Report { id, type_name, attempt, claim, reported, retry, .. } = &self.report;
        let (result, error) = match reported {
            AttemptOutcome::Result(result) => (Some(result), None),
            AttemptOutcome::Error(error) => (None, Some(error.as_str())),
            AttemptOutcome::Released => return None,
        };
        let (id, attempt, claim, retry) = (*id, *attempt, *claim, *retry);
        let (r#type, installation, worker) = (type_name, self.installation, &self.worker);
        let encoded = EncodedResult {
            v: VERSION,
            id,
            r#type,
            attempt,
            claim,
            installation,
            worker,
            result,
            error,
            retry,
        };
        Some(serde_json::to_vec(&encoded).expect("names and documents are JSON"))
    }
}

impl Message for ResultMessage {
    const MAX_BYTES: usize = 1 << 20;

    fn installation(&self) -> InstallationId {
        self.installation
    }

    fn decode(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        check(bytes, Self::MAX_BYTES)?;
        let decoded: DecodedResult = serde_json::from_slice(bytes)?;
        let DecodedResult {
            id,
            r#type: type_name,
            attempt,
            claim,
            installation,
            worker,
            result,
            error,
            retry,
        } = decoded;
        let reported = match (result, error) {
            (Some(result), None) => AttemptOutcome::Result(result),
            (None, Some(LossyString(error))) => AttemptOutcome::Error(error),
            _ => return Err(InvalidMessage::Ambiguous),
        };
        Ok(Self {
            installation,
            worker,
            report: Report { id, type_name, attempt, claim, reported, retry, trace: None },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published contract for programs in other languages.
    const DOCUMENT: &str = include_str!("../../../docs/asyncapi.yaml");

    fn ticket() -> Ticket {
        let id = "019abe40-7c1e-7d52-8f6a-3f0c5a9be2d1".parse().unwrap();
        let installation = "b2f7c4de-8a51-4c0e-9d36-71e5a0f4c8b3".parse().unwrap();
        let type_name = "GENERATE_LOGIN".parse().unwrap();
        Ticket { id, type_name, attempt: 1, priority: Priority::DEFAULT, installation }
    }

    fn result_message(reported: AttemptOutcome, retry: Option<RetryHint>) -> ResultMessage {
        let claim = "6f1c2d0e-58b7-4a52-9d3c-0c3a1f8e7b64".parse().unwrap();
        let Ticket { id, type_name, attempt, installation, .. } = ticket();
        let report = Report { id, type_name, attempt, claim, reported, retry, trace: None };
        ResultMessage { installation, worker: "rig-7".parse().unwrap(), report }
    }

    #[test]
    fn the_examples_in_the_asyncapi_document_are_the_encoded_bytes() {
        let assert_documented = |message: &[u8]| {
            let line = format!("payload: {}", std::str::from_utf8(message).unwrap());
            assert!(DOCUMENT.lines().any(|found| found.trim() == line), "not in docs/asyncapi.yaml: {line}");
        };
        for priority in [Priority::DEFAULT, 9.try_into().unwrap()] {
            let ticket = Ticket { priority, ..ticket() };
            assert_documented(&ticket.encode());
            assert_eq!(Ticket::decode(&ticket.encode()).unwrap(), ticket);
        }
        let result = RawJson::parse(r#""q7Zp2LmX0a""#.to_owned()).unwrap();
        let error = AttemptOutcome::Error("the mail server is away".to_owned());
        for (reported, retry) in
            [(AttemptOutcome::Result(result), None), (error, Some(RetryHint::AfterMs(60_000)))]
        {
            let message = result_message(reported, retry);
            let bytes = message.encode().unwrap();
            assert_documented(&bytes);
            assert_eq!(ResultMessage::decode(&bytes).unwrap(), message);
        }
        assert_eq!(result_message(AttemptOutcome::Released, None).encode(), None);
    }

    #[test]
    fn a_null_result_is_a_result_and_its_bytes_are_preserved() {
        for text in ["null", r#"{ "big": 18446744073709551616, "nul": "\u0000" }"#] {
            let message =
                result_message(AttemptOutcome::Result(RawJson::parse(text.to_owned()).unwrap()), None);
            assert_eq!(ResultMessage::decode(&message.encode().unwrap()).unwrap(), message);
        }
    }

    #[test]
    fn half_a_character_in_an_error_is_replaced() {
        let bytes = result_message(AttemptOutcome::Error("cut".to_owned()), None).encode().unwrap();
        let bytes = String::from_utf8(bytes).unwrap().replace("cut", r"cut \ud83d");
        let decoded = ResultMessage::decode(bytes.as_bytes()).unwrap();
        assert_eq!(decoded.report.reported, AttemptOutcome::Error("cut \u{fffd}".to_owned()));
    }

    #[test]
    fn an_invalid_message_is_refused_with_the_cause() {
        let cause = |bytes: &[u8]| ResultMessage::decode(bytes).unwrap_err().to_string();
        assert_eq!(cause(br#"{"v":2}"#), "unknown version 2; this program reads version 1");
        assert!(cause(b"\xff\xfe").starts_with("undecodable: "));
        assert!(cause(br#"{"v":1,"id":7}"#).starts_with("undecodable: "));
        assert!(cause(&vec![b' '; ResultMessage::MAX_BYTES + 1]).starts_with("too long: 1048577 bytes"));
        let neither = result_message(AttemptOutcome::Error(String::new()), None).encode().unwrap();
        let neither = String::from_utf8(neither).unwrap().replace(r#","error":"""#, "");
        assert_eq!(cause(neither.as_bytes()), "a result message must have either a result or an error");
        let later = String::from_utf8(ticket().encode()).unwrap().replace(r#""v":1"#, r#""v":1,"later":[]"#);
        assert_eq!(Ticket::decode(later.as_bytes()).unwrap(), ticket(), "unknown fields are ignored");
    }
}
