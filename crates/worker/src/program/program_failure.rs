//! The failures that the end of a program is reported as.

use domain::limits::MAX_ERROR_BYTES;
use supervisor::{EndReason, Ended};

use crate::sdk::operation::Failure;

/// The exit code by which a program says that another attempt may succeed (`EX_TEMPFAIL` of sysexits(3)).
const TEMPORARY_FAILURE: i32 = 75;

/// The exit codes by which a program says that another attempt would fail the same way: wrong usage, wrong data, wrong configuration
/// (sysexits(3)), and those of a shell for a program that cannot be run.
const PERMANENT_FAILURES: [i32; 5] = [64, 65, 78, 126, 127];

/// The failure of a program that ended by itself, or `None` if it succeeded. The end of its standard error follows the reason.
pub(crate) fn failure_of(ended: &Ended) -> Option<Failure> {
    let failure = match &ended.reason {
        EndReason::Exited(0) => return None,
        EndReason::Exited(TEMPORARY_FAILURE) => {
            Failure::new(with_error_tail("the program failed for now (exit code 75)", ended))
        }
        EndReason::Exited(code) => {
            let failure =
                Failure::new(with_error_tail(&format!("the program failed with exit code {code}"), ended));
            if PERMANENT_FAILURES.contains(code) { failure.permanent() } else { failure }
        }
        EndReason::Signalled(signal) => {
            Failure::new(with_error_tail(&format!("the program was ended by signal {signal}"), ended))
        }
        EndReason::LimitExceeded(limit) => Failure::new(with_error_tail(
            &format!("the program exceeded its limit of {limit} and was killed"),
            ended,
        ))
        .permanent(),
        EndReason::NotStarted(error) => Failure::new(format!("the program was not started: {error}")),
        EndReason::DeadlinePassed => Failure::new("the program was stopped at its deadline"),
        EndReason::Stopped => Failure::new("the program was stopped"),
        EndReason::InitProcessLost | EndReason::SupervisorLost => {
            Failure::new("the program was killed because the process that supervised it was killed")
        }
    };
    Some(if ended.is_confirmed { failure } else { failure.with_unconfirmed_stop() })
}

/// The reason, and what fits of the end of the standard error.
fn with_error_tail(reason: &str, ended: &Ended) -> String {
    let tail = ended.error_tail.trim();
    if tail.is_empty() {
        return reason.to_owned();
    }
    let room = MAX_ERROR_BYTES.saturating_sub(reason.len() + 2);
    let mut start = tail.len().saturating_sub(room);
    while !tail.is_char_boundary(start) {
        start += 1;
    }
    format!("{reason}: {}", &tail[start..])
}

#[cfg(test)]
mod tests {
    use supervisor::Limit;

    use super::*;

    fn ended(reason: EndReason, error_tail: &str) -> Ended {
        Ended { reason, output: None, error_tail: error_tail.to_owned(), is_confirmed: true }
    }

    #[test]
    fn exit_codes_say_whether_another_attempt_makes_sense() {
        assert_eq!(failure_of(&ended(EndReason::Exited(0), "noise")), None);
        let temporary = failure_of(&ended(EndReason::Exited(75), "busy\n"));
        assert_eq!(temporary, Some(Failure::new("the program failed for now (exit code 75): busy")));
        let usage = failure_of(&ended(EndReason::Exited(64), ""));
        assert_eq!(usage, Some(Failure::new("the program failed with exit code 64").permanent()));
    }

    #[test]
    fn a_limit_is_named() {
        let memory = failure_of(&ended(EndReason::LimitExceeded(Limit::Memory), ""));
        let expected = Failure::new("the program exceeded its limit of memory and was killed").permanent();
        assert_eq!(memory, Some(expected));
    }

    #[test]
    fn the_end_of_a_long_standard_error_is_kept() {
        let text = "é".repeat(MAX_ERROR_BYTES);
        let failure = failure_of(&ended(EndReason::Signalled(9), &text)).unwrap().to_string();
        assert!(failure.len() <= MAX_ERROR_BYTES && failure.ends_with('é'));
    }
}
