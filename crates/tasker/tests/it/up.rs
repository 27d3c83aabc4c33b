//! `tasker up`: what it prints, what it keeps, and how it stops.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::process::{Up, run, tasker};

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it exists").permissions().mode() & 0o777
}

#[test]
fn it_says_where_everything_is_and_keeps_its_data_to_itself() {
    let mut up = Up::start();
    let printed = up.process().seen().join("\n");
    let beginnings =
        ["Backend:    http://127.0.0.1:", "Identity:   http://127.0.0.1:", "Setup link: http://127.0.0.1:"];
    for beginning in beginnings {
        assert!(printed.contains(beginning), "{beginning}: {printed}");
    }
    let data = up.home().join(".tasker");
    assert_eq!(mode(&data), 0o700);
    for secret in ["local.secret", "identity.key"] {
        assert_eq!(mode(&data.join(secret)), 0o600, "{secret}");
    }
    assert!(up.stop().1.success());
}

#[test]
fn a_second_one_on_the_same_data_is_refused() {
    let up = Up::start();
    let second = run(&mut tasker(
        up.home(),
        ["up", "--backend-addr", "127.0.0.1:0", "--identity-addr", "127.0.0.1:0"],
    ));
    assert_eq!(second.code, 1);
    assert!(second.err.starts_with("error: another `tasker up` runs on ./.tasker"), "{}", second.err);
}

#[test]
fn what_runs_is_finished_before_it_stops_and_the_next_start_knows_it() {
    let up = Up::start();
    let id = up.ask(["submit", "GENERATE_LOGIN", "--ttl", "30s"]).out;
    while up.ask(["get", &id]).out.contains("CREATED") {}
    let (home, status) = up.stop();
    assert!(status.success());

    let up = Up::start_in(home);
    assert!(up.ask(["get", &id]).out.contains("FINISHED"));
    assert_eq!(up.ask(["result", &id]).out.len(), "\"tencharact\"".len());
}
