//! `tasker healthcheck`, and addresses below `localhost`.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::kit::command::{run, tasker_command};
use crate::kit::tasker_up::TaskerUp;

/// The argument of `--set` that makes `setting` the address of `url`.
fn listener(setting: &str, url: &str) -> String {
    format!("{setting}={}", url.strip_prefix("http://").unwrap())
}

#[test]
fn each_service_is_asked_at_its_own_listener() {
    let up = TaskerUp::start();
    let (backend, identity) =
        (listener("backend.listen", &up.urls().backend), listener("identity.listen", &up.urls().identity));
    for arguments in
        [["healthcheck", "backend", "--set", &backend], ["healthcheck", "identity", "--set", &identity]]
    {
        let output = up.run_command(arguments);
        assert_eq!((output.code, &*output.stdout, &*output.stderr), (0, "", ""), "{arguments:?}");
    }
    let worker = up.run_command(["healthcheck", "worker"]);
    assert_eq!(worker.code, 2);
    assert!(worker.stderr.contains("`metrics.listen`"), "{}", worker.stderr);
    let (home, _) = up.stop();
    let stopped = run(&mut tasker_command(home.path(), ["healthcheck", "backend", "--set", &backend]));
    assert_eq!(stopped.code, 9, "{}", stopped.stderr);
}

#[test]
fn a_name_below_localhost_is_this_machine_for_a_command() {
    let up = TaskerUp::start();
    let backend = up.urls().backend.replace("127.0.0.1", "tasker.localhost");
    let mut command = tasker_command(up.home(), ["operations", "--backend-url", &backend, "--output", "id"]);
    let output = run(command.env("TASKER_TOKEN", "no.valid.token"));
    // The Backend was reached, since it refused the token.
    assert_eq!(output.code, 4, "{}", output.stderr);
}
