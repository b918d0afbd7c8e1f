//! Recordings of a busybox image with the real engine and the real sensor.
#![expect(clippy::print_stderr, clippy::unwrap_used, reason = "a test that cannot go on says so and fails")]

#[expect(unreachable_pub, reason = "a module of a test program")]
mod common;

use std::sync::atomic::Ordering;

use careen_coverage as coverage;
use common::{Bench, Notes, SECOND, first_step, report, skip};
use coverage::RecordError;
use profile::{AccessKind, Incomplete, StepOutcome};

const SERVER: &str = r#"
version: 1
container: { cmd: [sh, -c, "echo starting; exec httpd -f -p 8080 -h /srv"] }
wait_for:
  - { log: starting }
  - { tcp: 8080 }
"#;

/// A workload that reads a file when it is told to reload and another one when it is told to stop.
const SIGNALLED: &str = r#"
version: 1
container:
  cmd:
    - sh
    - -c
    - |
      trap 'cat /srv/only-at-stop; exit 0' TERM
      trap 'cat /etc/passwd; echo reloaded' HUP
      echo ready
      while :; do sleep 1 & wait $!; done
wait_for:
  - log: ready
"#;

#[test]
fn a_run_records_each_use_with_its_step() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = format!(
        "{SERVER}
steps:
  - name: fetch
    host: [curl, -fsS, --noproxy, '*', 'http://127.0.0.1:8080/index.html']
    expect: ^hello$
    compare: exact
  - name: look
    exec: cat /etc/passwd
  - name: stdin
    exec: [cat]
    stdin: input.txt
    expect: from a file
stop: {{ grace: 1s, expect_exit: KILL }} # as PID 1, busybox httpd does not hear SIGTERM
"
    );
    bench.write("input.txt", "from a file\n");
    let notes = Notes::default();
    let profile = bench
        .record_with(&bench.coverage("shop.yaml", &text), false, &notes)
        .map_err(|e| report(&e))
        .unwrap();
    assert!(profile.verdict().is_complete(), "{:?}", profile.verdict());
    assert_eq!(profile.image.reference, "oci:busybox");
    let [run] = profile.runs.as_slice() else { panic!("{:?}", profile.runs) };
    assert_eq!((run.coverage.as_str(), run.started_at.as_str()), ("shop", "1970-01-01T00:00:00Z"));
    let names: Vec<_> = run.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["fetch", "look", "stdin", "stop"]);
    assert_eq!(run.steps[0].stdout, "hello\n");
    assert_eq!(first_step(&profile, "/bin/busybox", AccessKind::Exec), Some("start"));
    assert_eq!(first_step(&profile, "/srv/index.html", AccessKind::OpenRead), Some("fetch"));
    assert_eq!(first_step(&profile, "/etc/passwd", AccessKind::OpenRead), Some("look"));
    assert_eq!(first_step(&profile, "/srv/only-at-stop", AccessKind::OpenRead), None);
    let lines = notes.lines();
    let expected = [
        "sensor loaded",
        "created",
        "started",
        "waiting for log \"starting\"",
        "waiting for tcp 127.0.0.1:8080",
        "ready",
        "1/4 fetch",
        "1/4 fetch: Exited { code: 0 }",
        "2/4 look",
        "2/4 look: Exited { code: 0 }",
        "3/4 stdin",
        "3/4 stdin: Exited { code: 0 }",
        "4/4 stop",
        "stopping",
    ];
    assert_eq!(lines[..expected.len()], expected);
    assert_eq!(lines.last().unwrap(), "finished");
    // What is written can be read, and says the same.
    let read = profile::Profile::from_bytes(&profile.to_bytes().unwrap(), &profile::ReadLimits::default());
    assert_eq!(read.unwrap(), profile);
}

#[test]
fn what_only_signals_cause_belongs_to_their_step() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = format!(
        "{SIGNALLED}
steps:
  - {{ name: reload, signal: HUP }}
  - {{ name: it has reloaded, wait: {{ log: ^reloaded$, timeout: 5s }} }}
stop: {{ expect_exit: 0 }}
"
    );
    let profile = bench.record(&bench.coverage("a.yaml", &text)).map_err(|e| report(&e)).unwrap();
    let step = first_step(&profile, "/etc/passwd", AccessKind::OpenRead);
    assert!(matches!(step, Some("reload" | "it has reloaded")), "{step:?}");
    assert_eq!(first_step(&profile, "/srv/only-at-stop", AccessKind::OpenRead), Some("stop"));
    assert_eq!(profile.runs[0].steps[2].outcome, StepOutcome::Exited { code: 0 });
}

#[test]
fn a_restart_keeps_the_data_and_waits_again() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = format!(
        "{SIGNALLED}
steps:
  - {{ exec: [sh, -c, 'echo kept > /srv/data'] }}
  - {{ name: restart, restart: true }}
  - {{ name: still there, exec: cat /srv/data, expect: ^kept$ }}
"
    );
    let notes = Notes::default();
    let profile =
        bench.record_with(&bench.coverage("a.yaml", &text), false, &notes).map_err(|e| report(&e)).unwrap();
    assert!(profile.verdict().is_complete(), "{:?}", profile.verdict());
    assert_eq!(first_step(&profile, "/srv/only-at-stop", AccessKind::OpenRead), Some("restart"));
    assert_eq!(profile.runs[0].steps[1].outcome, StepOutcome::Exited { code: 0 });
    assert_eq!(notes.lines().iter().filter(|line| *line == "waiting for log \"ready\"").count(), 2);
    // What the workload made at run time is not a path of the image.
    assert!(
        profile
            .usage(&image::ImagePath::from_text("/srv/data").unwrap())
            .is_none_or(|usage| !usage.is_used())
    );
}

#[test]
fn a_failed_step_ends_the_run_and_shows_its_output() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = format!(
        "{SERVER}
steps:
  - {{ name: fine, exec: [cat, /etc/passwd] }}
  - {{ name: broken, exec: [sh, -c, 'echo out; echo err >&2; cat /etc/absent 2>/dev/null; exit 3'] }}
  - {{ name: never, exec: [true] }}
"
    );
    let error = bench.record(&bench.coverage("a.yaml", &text)).unwrap_err();
    insta::assert_snapshot!(report(&error), @r#"
    step "broken" failed: exit code 3
      stdout:
        out
      stderr:
        err
      log:
        starting
    hint: correct the step, or mark it `allow_failure: true` if it may fail
    "#);
    let partial = error.partial_profile().expect("what was recorded until then");
    assert_eq!(partial.verdict().reasons(), [Incomplete::CutOff]);
    assert_eq!(partial.runs[0].steps.len(), 2);
    assert_eq!(first_step(partial, "/etc/passwd", AccessKind::OpenRead), Some("fine"));
    assert_eq!(first_step(partial, "/etc/absent", AccessKind::Missing), Some("broken"));
}

#[test]
fn a_step_fails_in_every_way_and_is_tolerated_where_allowed() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let steps = "
  - { name: code, exec: [false], allow_failure: true }
  - { name: signal, exec: [sh, -c, 'kill -9 $$'], allow_failure: true }
  - { name: slow, exec: [sleep, 100], timeout: 300ms, allow_failure: true }
  - { name: output, exec: [echo, no], expect: ^yes$, allow_failure: true }
  - { name: absent, exec: [no-such-program], allow_failure: true }
  - { name: log, wait: { log: never, timeout: 200ms }, allow_failure: true }
";
    let coverage = bench.coverage("a.yaml", &format!("{SERVER}\nsteps:{steps}"));
    let notes = Notes::default();
    let profile = bench.record_with(&coverage, false, &notes).map_err(|e| report(&e)).unwrap();
    let outcomes: Vec<_> = profile.runs[0].steps.iter().map(|step| step.outcome).collect();
    let expected = [
        StepOutcome::Exited { code: 1 },
        StepOutcome::Signalled { signal: 9 },
        StepOutcome::TimedOut,
        StepOutcome::Exited { code: 0 },
        StepOutcome::Exited { code: 127 },
        StepOutcome::TimedOut,
    ];
    assert_eq!(outcomes[..6], expected);
    assert_eq!(notes.lines().iter().filter(|line| line.ends_with(", tolerated")).count(), 6);

    // A verification goes on by itself.
    let strict =
        bench.coverage("b.yaml", &format!("{SERVER}\nsteps:{}", steps.replace(", allow_failure: true", "")));
    let profile = bench.record_with(&strict, true, &coverage::Silent).map_err(|e| report(&e)).unwrap();
    assert_eq!(profile.runs[0].steps.len(), 7);
    for (n, _) in strict.steps.iter().enumerate() {
        let mut one = strict.clone();
        one.steps = vec![strict.steps[n].clone()];
        let error = bench.record(&one).unwrap_err();
        assert!(
            matches!(&error, RecordError::StepFailed(failure) if failure.name == one.steps[0].name),
            "{error}"
        );
    }
}

#[test]
fn what_never_becomes_ready_is_told_with_its_log() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = "
version: 1
container: { cmd: [sh, -c, 'echo waiting for the database; cat /etc/shop.conf; sleep 100'] }
wait_for:
  - { tcp: 8080, timeout: 700ms }
";
    let error = bench.record(&bench.coverage("a.yaml", text)).unwrap_err();
    let shown = report(&error);
    assert!(
        shown.starts_with("the container was not ready after 700ms: tcp 127.0.0.1:8080 does not hold"),
        "{shown}"
    );
    assert!(shown.contains("\n  log:\n    waiting for the database\n"), "{shown}");
    let partial = error.partial_profile().expect("what was recorded until then");
    assert_eq!(first_step(partial, "/etc/shop.conf", AccessKind::Missing), Some("start"));
}

#[test]
fn a_container_that_dies_at_once_is_told_with_its_exit_and_log() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = "
version: 1
container: { cmd: [sh, -c, 'echo no configuration >&2; exit 7'] }
wait_for: [{ tcp: 8080 }]
";
    let error = bench.record(&bench.coverage("a.yaml", text)).unwrap_err();
    insta::assert_snapshot!(report(&error), @"
    the container ended with exit code 7 before tcp 127.0.0.1:8080 held
      log:
        no configuration
    hint: it may need environment variables, arguments or a volume: see `container` in the coverage
    ");
    // The same without any condition: it is noticed at the next step, or at the stop.
    for steps in ["[{ wait: 500ms }, { exec: [true] }]", "[{ wait: 500ms }]"] {
        let text = format!("version: 1\ncontainer: {{ cmd: [sh, -c, 'exit 7'] }}\nsteps: {steps}\n");
        let error = bench.record(&bench.coverage("b.yaml", &text)).unwrap_err();
        assert!(matches!(error, RecordError::Ended { .. }), "{error}");
    }
}

#[test]
fn a_container_that_never_dies_is_killed_after_its_grace_and_its_record_is_complete() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = "
version: 1
container: { cmd: [sh, -c, \"trap '' TERM INT HUP QUIT; echo ready; while :; do sleep 1; done\"] }
wait_for: [{ log: ready }]
steps:
  - { name: look, exec: cat /etc/passwd }
stop: { grace: 700ms }
";
    let began = std::time::Instant::now();
    let profile = bench.record(&bench.coverage("a.yaml", text)).map_err(|e| report(&e)).unwrap();
    let stop = profile.runs[0].steps.last().unwrap();
    assert_eq!((stop.name.as_str(), stop.outcome), ("stop", StepOutcome::Signalled { signal: 9 }));
    assert!(stop.duration_ms >= 700 && began.elapsed() < 60 * SECOND);
    assert!(profile.verdict().is_complete(), "{:?}", profile.verdict());
    assert_eq!(first_step(&profile, "/etc/passwd", AccessKind::OpenRead), Some("look"));
}

#[test]
fn a_workload_that_does_its_work_and_ends_is_waited_for() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = "
version: 1
container: { cmd: [sh, -c, 'sleep 0.3; cat /srv/index.html; exit 4'] }
steps:
  - { name: done, wait: { exit: [4], timeout: 10s } }
stop: { expect_exit: 4 }
";
    let profile = bench.record(&bench.coverage("a.yaml", text)).map_err(|e| report(&e)).unwrap();
    assert_eq!(first_step(&profile, "/srv/index.html", AccessKind::OpenRead), Some("done"));
    assert_eq!(profile.runs[0].steps[1].outcome, StepOutcome::Exited { code: 4 });
    assert!(profile.verdict().is_complete(), "{:?}", profile.verdict());
    let error = bench.record(&bench.coverage("b.yaml", &text.replace("[4]", "0"))).unwrap_err();
    assert!(matches!(error, RecordError::Ended { .. }), "{error}");
}

#[test]
fn an_unexpected_exit_at_the_stop_fails() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = "
version: 1
container: { cmd: [sh, -c, 'trap \"exit 9\" TERM; echo ready; while :; do sleep 1 & wait $!; done'] }
wait_for: [{ log: ready }]
stop: { expect_exit: 0 }
";
    let error = bench.record(&bench.coverage("a.yaml", text)).unwrap_err();
    assert!(
        report(&error).starts_with("step \"stop\" failed: the container ended with exit code 9"),
        "{error}"
    );
}

#[test]
fn scripts_run_in_the_container() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let mut script = bench.coverage("smoke.sh", "cat < /etc/passwd\ncat\necho the end\n");
    script.container.cmd = Some(["httpd", "-f", "-p", "8080"].map(str::to_owned).to_vec());
    let profile = bench.record(&script).map_err(|e| report(&e)).unwrap();
    assert!(profile.runs[0].steps[0].stdout.ends_with("the end\n"), "{:?}", profile.runs[0].steps[0]);
    let mut failing = bench.coverage("failing.sh", "#!/bin/sh\necho before\nfalse\necho after\n");
    failing.container.cmd.clone_from(&script.container.cmd);
    let RecordError::StepFailed(failure) = bench.record(&failing).unwrap_err() else { panic!("it passed") };
    assert_eq!((failure.name.as_str(), failure.stdout_tail.as_str()), ("failing.sh", "before"));
}

#[test]
fn an_interrupted_run_ends_soon_and_leaves_nothing() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = format!("{SERVER}\nsteps: [{{ wait: 60s }}]\n");
    let coverage = bench.coverage("a.yaml", &text);
    let interrupt = std::sync::Arc::clone(&bench.interrupt);
    let begin = std::time::Instant::now();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(2 * SECOND);
        interrupt.store(true, Ordering::Relaxed);
    });
    let error = bench.record(&coverage).unwrap_err();
    thread.join().unwrap();
    assert!(matches!(error, RecordError::Interrupted), "{error}");
    assert!(begin.elapsed() < 20 * SECOND);
}

#[test]
fn what_an_edited_image_lacks_is_missed_in_its_step_a_program_of_the_coverage_too() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = format!(
        "{SERVER}
steps:
  - name: page
    exec: [cat, /srv/index.html]
  - name: program
    exec: [touch, /tmp/new]
  - name: program by path
    exec: [/bin/true]
  - name: never there
    exec: [no-such-program]
stop: {{ grace: 1s, expect_exit: KILL }}
"
    );
    let removed = ["/srv/index.html", "/bin/touch", "/bin/true"];
    let profile = bench.record_without(&bench.coverage("lacking.yaml", &text), &removed).unwrap();
    let codes: Vec<_> = profile.runs[0].steps.iter().map(|step| step.outcome).collect();
    assert_eq!(codes[..4], [1, 127, 127, 127].map(|code| StepOutcome::Exited { code }));
    for (path, step) in [
        ("/srv/index.html", "page"),
        ("/bin/touch", "program"),
        ("/bin/true", "program by path"),
        ("/bin/no-such-program", "never there"),
    ] {
        assert_eq!(first_step(&profile, path, AccessKind::Missing), Some(step), "{path}");
    }
    assert!(profile.verdict().is_complete(), "{:?} {:?}", profile.verdict(), profile.runs[0].sensor.counters);
    assert_eq!(first_step(&profile, "/bin/echo", AccessKind::Missing), None);
}

#[test]
fn a_program_that_is_waited_with_and_not_there_is_missed_at_the_start() {
    if skip() {
        return;
    }
    let bench = Bench::new();
    let text = "version: 1\ncontainer: { cmd: [sleep, 60] }\nwait_for: [{ exec: touch /tmp/x }]\nsteps: []\n";
    let error = bench.record_without(&bench.coverage("waits.yaml", text), &["/bin/touch"]).unwrap_err();
    assert!(matches!(&error, RecordError::Engine { .. }), "{error}");
    let partial = error.partial_profile().unwrap();
    assert_eq!(first_step(partial, "/bin/touch", AccessKind::Missing), Some("start"));
}
