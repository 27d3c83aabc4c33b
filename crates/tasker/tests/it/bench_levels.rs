//! `tasker bench ttl --level`: each isolation level is measured with a Tasker of the command's own, which leaves nothing behind.

use serde_json::Value;
use tempfile::TempDir;

use crate::kit::command::{run, tasker_command};

#[test]
fn every_level_is_measured_and_nothing_is_left() {
    let (home, temporary) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for level in ["async", "exec", "http"] {
        let arguments = [
            "bench",
            "ttl",
            "--level",
            level,
            "--tasks",
            "4",
            "--concurrency",
            "2",
            "--ttl",
            "200ms",
            "-o",
            "json",
        ];
        let mut command = tasker_command(home.path(), arguments);
        let output = run(command.env("TMPDIR", temporary.path()).env("PATH", "/usr/bin:/bin"));
        assert_eq!(output.code, 0, "{level}: {}", output.stderr);
        let report: Value = serde_json::from_str(&output.stdout).expect("the report is JSON");
        assert_eq!((report["level"].as_str(), report["tasks"].as_u64()), (Some(level), Some(4)));
        for measured in ["verdict", "stop", "cancel"] {
            assert!(report[measured]["max"].as_f64().is_some(), "{level}: {report}");
        }
        let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
        assert!(left.is_empty(), "{level}: {left:?}");
    }
}
