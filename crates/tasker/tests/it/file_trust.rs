//! What others of the same machine can do with files and ports: their files are not used, and nobody else gets the secret of `local`.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs::{Permissions, set_permissions};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use tempfile::TempDir;

use crate::kit::command::{CommandOutput, run, tasker_command};
use crate::kit::tasker_up::{TaskerUp, UP_ON_FREE_PORTS};

/// The id of a user that no machine has.
const OTHER_USER: u32 = 54_321;

/// Makes the file at `path` one that another user may have written, in each way, and expects `command` to refuse it with the exit code of an
/// invalid setting.
fn assert_refused(path: &Path, command: impl Fn() -> CommandOutput) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let expect = |why: &str| {
        let output = command();
        assert_eq!(output.code, 2, "{name}: {} {}", output.stdout, output.stderr);
        assert!(output.stderr.contains(name) && output.stderr.contains(why), "{name}: {}", output.stderr);
    };
    let before = path.metadata().unwrap();
    set_permissions(path, Permissions::from_mode(before.mode() | 0o002)).unwrap();
    expect("every user of this machine may write it");
    set_permissions(path, before.permissions()).unwrap();
    // Only root may give a file away.
    if chown(path, Some(OTHER_USER), None).is_ok() {
        expect("it belongs to the user with the id 54321");
        chown(path, Some(before.uid()), None).unwrap();
    }
}

#[test]
fn commands_use_no_file_of_another_user() {
    let up = TaskerUp::start();
    let (home, data) = (up.home(), up.home().join(".tasker"));
    let write = |name: &str, text: &str| {
        std::fs::write(home.join(name), text).unwrap();
        home.join(name)
    };
    for path in [data.clone(), data.join("local.json"), data.join("local.secret")] {
        assert_refused(&path, || up.run_command(["list"]));
    }
    assert_eq!(up.run_command(["list"]).code, 0, "the same files are in order");
    std::fs::create_dir_all(home.join("state/tasker")).unwrap();
    let session = write("state/tasker/session.json", "{}");
    let with = |name: &str, value: &str, arguments: &[&str]| {
        run(tasker_command(home, arguments.iter().copied()).env(name, value))
    };
    assert_refused(&session, || with("XDG_STATE_HOME", home.join("state").to_str().unwrap(), &["list"]));
    let secret = write("secret", "hush");
    let show = ["config", "show"];
    assert_refused(&secret, || with("TASKER__WORKER__PASSWORD_FILE", "secret", &show));
    assert_refused(&write("other.toml", ""), || up.run_command(["config", "show", "--config", "other.toml"]));
    assert_refused(&write("tasker.toml", ""), || up.run_command(show));
    assert_refused(&write("ca.pem", ""), || up.run_command(["list", "--tls-ca", "ca.pem"]));
    assert_eq!(with("TASKER__WORKER__PASSWORD_FILE", "secret", &show).code, 0, "the same files are in order");
}

#[test]
fn no_service_starts_on_a_file_of_another_user() {
    let (home, _) = TaskerUp::start().stop();
    let data = home.path().join(".tasker");
    let up = |more: &[&str]| run(&mut tasker_command(home.path(), [&UP_ON_FREE_PORTS[..], more].concat()));
    for path in [data.clone(), data.join("tasks.db"), data.join("identity.db"), data.join("identity.key")] {
        assert_refused(&path, || up(&[]));
    }
    for name in ["cert.pem", "key.pem"] {
        std::fs::write(home.path().join(name), "").unwrap();
    }
    let tls = ["--set", "identity.tls_cert=cert.pem", "--set", "identity.tls_key=key.pem"];
    assert_refused(&home.path().join("cert.pem"), || up(&tls));
    assert_refused(&home.path().join("key.pem"), || up(&tls));
    let kafka = [
        "kafka.bootstrap_servers=127.0.0.1:1",
        "kafka.security_protocol=ssl",
        "kafka.ssl_ca_location=cert.pem",
    ];
    let kafka = kafka.map(|setting| ["--set", setting]).concat();
    assert_refused(&home.path().join("cert.pem"), || up(&kafka));
}

#[test]
fn nothing_is_written_through_a_symbolic_link() {
    let home = TempDir::new().unwrap();
    let (data, other) = (home.path().join(".tasker"), home.path().join("other"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(&other, "kept").unwrap();
    symlink(&other, data.join("local.json.new")).unwrap();
    symlink(&other, data.join("lock")).unwrap();
    let up = run(&mut tasker_command(home.path(), UP_ON_FREE_PORTS));
    assert!(up.code == 1 && up.stderr.contains("--data-dir ./.tasker cannot be locked"), "{}", up.stderr);
    std::fs::remove_file(data.join("lock")).unwrap();
    let (home, _) = TaskerUp::start_in(home, &[]).stop();
    assert_eq!(std::fs::read_to_string(home.path().join("other")).unwrap(), "kept");
}

/// Somebody else may listen at the ports of a `tasker up` that has ended.
#[test]
fn commands_send_nothing_to_the_addresses_of_a_tasker_up_that_has_ended() {
    let up = TaskerUp::start();
    let secret = |home: &Path| std::fs::read_to_string(home.join(".tasker/local.secret")).unwrap();
    let addresses = [&up.backend_url, &up.identity_url].map(|url| url.replace("http://", ""));
    let home = up.kill();
    let earlier = secret(home.path());
    // A port that another test has taken meanwhile is not needed.
    let listeners: Vec<TcpListener> = addresses.iter().filter_map(|at| TcpListener::bind(at).ok()).collect();
    for arguments in
        [&["list"][..], &["whoami", "--data-dir", ".tasker"], &["doctor", "--data-dir", ".tasker"]]
    {
        for token in [None, Some("token")] {
            let mut command = tasker_command(home.path(), arguments.iter().copied());
            let output = run(command.envs(token.map(|token| ("TASKER_TOKEN", token))));
            assert_eq!(output.code, 9, "{arguments:?}: {}", output.stderr);
            assert!(output.stderr.contains("no Tasker runs on "), "{arguments:?}: {}", output.stderr);
        }
    }
    for listener in listeners {
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody has connected");
    }
    let up = TaskerUp::start_in(home, &[]);
    assert_ne!(secret(up.home()), earlier, "each start makes another secret");
    assert_eq!(up.run_command(["list"]).code, 0);
}
