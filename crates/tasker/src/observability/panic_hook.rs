//! The panic hook of a process that has a log: a panic is a line of the log, in its format and its file.

use std::panic::{self, PanicHookInfo};
use std::thread;

use tracing::error;

/// From now on a panic writes one line into the log, and nothing to standard error by itself. Whoever catches the panic of a request
/// or an operation says what became of it.
pub fn install() {
    panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let location = panic.location().map(ToString::to_string);
    let (location, thread) = (location.as_deref().unwrap_or("an unknown place"), thread::current());
    error!(
        code.location = location,
        thread.name = thread.name(),
        error = message,
        "a thread panicked at {location}"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::subscriber::with_default;

    use super::*;

    /// The lines that are written to it.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_one_line_of_the_log() {
        let (lines, before) = (Lines::default(), panic::take_hook());
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        install();
        let caught = with_default(log, || panic::catch_unwind(|| panic!("the {} is broken", "lamp")));
        panic::set_hook(before);
        assert!(caught.is_err());
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("ERROR") && text.contains("a thread panicked at crates/tasker/src/observability"),
            "{text}"
        );
        assert!(text.contains("the lamp is broken"), "{text}");
    }
}
