use std::collections::BTreeSet;

use profile::{Observation, Process};
use proptest::prelude::*;
use testkit::{TarBuilder, TarEntry};

use super::*;
use crate::fixture::{Fixture, debian, identity, image, path, run};
use crate::{Policy, Rule};

/// The profile of these uses, with its surroundings.
fn recorded(fixture: Fixture, uses: &str) -> Profile {
    let fixture = fixture.uses(uses);
    let mut profile = fixture.profile();
    profile.surroundings = surroundings(&profile, &fixture.image, &fixture.packages).unwrap();
    profile
}

fn carried(profile: &Profile, onto: &Fixture) -> (Profile, CarryReport) {
    carry(profile, &onto.image, &onto.packages).unwrap()
}

/// What a profile of `before` that used `uses` is in `after`: each path that is not at the same place, as
/// `OLD -> NEW …, REASON` or `OLD lost: REASON`.
fn moves(before: &[(&str, &str)], uses: &str, after: &[(&str, &str)]) -> Vec<String> {
    let (_, report) = carried(&recorded(image(debian(before)), uses), &image(debian(after)));
    lines(&report)
}

fn lines(report: &CarryReport) -> Vec<String> {
    let moved = report.carried.iter().map(|path| ("", path));
    let uncertain = report.uncertain.iter().map(|path| ("? ", path));
    let moved = moved.chain(uncertain).map(|(mark, CarriedPath { from, to, why })| {
        let to: Vec<_> = to.iter().map(ToString::to_string).collect();
        format!("{mark}{from} -> {}, {why:?}", to.join(" "))
    });
    let lost = report.dropped.iter().map(|dropped| format!("{} lost: {:?}", dropped.from, dropped.why));
    moved.chain(lost).collect()
}

const APP: (&str, &str) = ("app", "/usr/bin/app /usr/bin/appctl /etc/app.conf /usr/share/app/a");

#[test]
fn hard_69_versions_in_names_are_carried_within_their_package() {
    let before = [
        APP,
        ("libfoo1=1.2.3", "/usr/lib/x86_64-linux-gnu/libfoo.so.1.2.3"),
        ("libssl1.1", "/usr/lib/x86_64-linux-gnu/libssl.so.1.1"),
        (
            "libpython3.11-stdlib",
            "/usr/lib/python3.11/json/tool.py /usr/lib/python3.11/__pycache__/abc.cpython-311.pyc",
        ),
        ("openjdk-17-jre-headless", "/usr/lib/jvm/java-17-openjdk-amd64/lib/modules"),
        ("postgresql-15", "/usr/lib/postgresql/15/bin/postgres /usr/share/postgresql/15/postgres.bki"),
    ];
    let after = [
        APP,
        ("libfoo1=1.2.4", "/usr/lib/x86_64-linux-gnu/libfoo.so.1.2.4"),
        ("libssl3", "/usr/lib/x86_64-linux-gnu/libssl.so.3"),
        (
            "libpython3.12-stdlib",
            "/usr/lib/python3.12/json/tool.py /usr/lib/python3.12/__pycache__/abc.cpython-312.pyc \
             /usr/lib/python3.12/__pycache__/abc.cpython-312.opt-1.pyc",
        ),
        ("openjdk-21-jre-headless", "/usr/lib/jvm/java-21-openjdk-amd64/lib/modules"),
        ("postgresql-16", "/usr/lib/postgresql/16/bin/postgres /usr/share/postgresql/16/postgres.bki"),
    ];
    let uses: String = before.iter().map(|(_, files)| format!("{files} ")).collect();
    assert_eq!(
        moves(&before, &uses, &after),
        [
            "/usr/lib/jvm/java-17-openjdk-amd64/lib/modules -> /usr/lib/jvm/java-21-openjdk-amd64/lib/modules, SamePackage",
            "/usr/lib/postgresql/15/bin/postgres -> /usr/lib/postgresql/16/bin/postgres, SamePackage",
            "/usr/lib/python3.11/__pycache__/abc.cpython-311.pyc -> /usr/lib/python3.12/__pycache__/abc.cpython-312.pyc, SamePackage",
            "/usr/lib/python3.11/json/tool.py -> /usr/lib/python3.12/json/tool.py, SamePackage",
            "/usr/lib/x86_64-linux-gnu/libfoo.so.1.2.3 -> /usr/lib/x86_64-linux-gnu/libfoo.so.1.2.4, SamePackage",
            "/usr/lib/x86_64-linux-gnu/libssl.so.1.1 -> /usr/lib/x86_64-linux-gnu/libssl.so.3, SamePackage",
            "/usr/share/postgresql/15/postgres.bki -> /usr/share/postgresql/16/postgres.bki, SamePackage",
        ]
    );
}

#[test]
fn the_nearest_of_several_names_is_the_next_version() {
    let files = |python: &str, tag: &str| {
        let cache = format!("/usr/lib/{python}/encodings/__pycache__");
        format!(
            "{cache}/utf_8.cpython-{tag}.pyc {cache}/utf_16.cpython-{tag}.pyc {cache}/cp437.cpython-{tag}.pyc \
             {cache}/cp1252.cpython-{tag}.pyc"
        )
    };
    let (old, new) = (files("python3.11", "311"), files("python3.12", "312"));
    let shared = ("python3", "/usr/lib/python3/dist-packages/six.py");
    let before = [APP, shared, ("libpython3.11-stdlib", &old)];
    let after = [APP, shared, ("libpython3.12-stdlib", &new)];
    let cache = "/usr/lib/python3.11/encodings/__pycache__";
    let uses = format!("/usr/bin/app readdir:/usr/lib/python3.11 {cache}/utf_8.cpython-311.pyc");
    assert_eq!(
        moves(&before, &uses, &after),
        [
            "/usr/lib/python3.11 -> /usr/lib/python3.12, SameName".to_owned(),
            format!(
                "{cache}/utf_8.cpython-311.pyc -> \
                 /usr/lib/python3.12/encodings/__pycache__/utf_8.cpython-312.pyc, SamePackage"
            ),
        ]
    );
}

#[test]
fn what_no_package_owns_is_carried_by_name_and_by_content() {
    let tree = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, text)| TarEntry::file(name, *text));
        image(files.fold(debian(&[APP]), TarBuilder::entry))
    };
    let long = "content that is long enough to be told from others";
    let before = tree(&[
        ("srv/dist/app.3f2a1b.js", "1"),
        ("srv/dist/vendor.0a1b2c.css", "2"),
        ("srv/node_modules/left-pad/index.js", "3"),
        ("opt/venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA", "4"),
        ("opt/old/logo", long),
        ("opt/old/gone", "5"),
    ]);
    let after = tree(&[
        ("srv/dist/app.9c0d1e.js", "1b"),
        ("srv/dist/vendor.77777a.css", "2b"),
        ("srv/dist/vendor.88888b.css", "2c"),
        ("srv/node_modules/left-pad/index.js", "3b"),
        ("opt/venv/lib/python3.12/site-packages/requests-2.32.1.dist-info/METADATA", "4b"),
        ("opt/new/picture", long),
        ("opt/new/picture2", "content that is long enough, but another one, as is"),
    ]);
    let uses = "/usr/bin/app /srv/dist/app.3f2a1b.js /srv/dist/vendor.0a1b2c.css /opt/old/logo /opt/old/gone \
                /srv/node_modules/left-pad/index.js \
                /opt/venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA";
    let profile = recorded(before, uses);
    let (_, report) = carried(&profile, &after);
    assert_eq!(
        lines(&report),
        [
            "/opt/old/logo -> /opt/new/picture, SameContent",
            "/opt/venv/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA -> \
             /opt/venv/lib/python3.12/site-packages/requests-2.32.1.dist-info/METADATA, SameName",
            "/srv/dist/app.3f2a1b.js -> /srv/dist/app.9c0d1e.js, SameName",
            "? /srv/dist/vendor.0a1b2c.css -> /srv/dist/vendor.77777a.css /srv/dist/vendor.88888b.css, Several",
            "/opt/old/gone lost: NothingLikeIt",
        ]
    );
    // A profile from before there were surroundings is carried by names alone.
    let mut bare = profile;
    bare.surroundings = profile::Surroundings::default();
    let (_, report) = carried(&bare, &after);
    assert_eq!((report.carried.len(), report.uncertain.len(), report.dropped.len()), (2, 1, 2));
}

#[test]
fn doubts_and_losses_are_told_apart() {
    let before = [
        APP,
        ("libold", "/usr/lib/libold.so.1 /usr/lib/libold/plugin.so"),
        ("tool", "/usr/bin/tool-1 /usr/bin/tool-2"),
        ("moved", "/usr/lib/moved/data.bin"),
        ("shrunk", "/usr/share/shrunk/a /usr/share/shrunk/b"),
    ];
    let after = [
        APP,
        ("libnew", "/usr/lib/libold.so.2"),
        ("tool", "/usr/bin/tool-2"),
        ("moved", "/usr/libexec/moved/data.bin"),
        ("shrunk", "/usr/share/shrunk/b"),
    ];
    let uses = "/usr/bin/app /etc/app.conf /usr/share/app/a map-exec:/usr/lib/libold.so.1 /usr/lib/libold/plugin.so \
                exec:/usr/bin/tool-1 /usr/lib/moved/data.bin /usr/share/shrunk/a";
    assert_eq!(
        moves(&before, uses, &after),
        [
            "/usr/lib/moved/data.bin -> /usr/libexec/moved/data.bin, MovedInPackage",
            "? /usr/bin/tool-1 -> /usr/bin/tool-2, ThereBefore",
            "? /usr/lib/libold.so.1 -> /usr/lib/libold.so.2, OtherPackage",
            "/usr/lib/libold/plugin.so lost: PackageGone",
            "/usr/share/shrunk/a lost: FileGone",
        ]
    );
}

#[test]
fn new_files_are_flagged_and_kept_where_all_of_their_sort_were_used() {
    let before = [(
        "app",
        "/usr/bin/app /usr/share/app/migrations/1.sql /usr/share/app/migrations/2.sql /usr/share/app/themes/x.css \
         /usr/share/app/themes/y.css",
    )];
    let after = [(
        "app",
        "/usr/bin/app /usr/share/app/migrations/1.sql /usr/share/app/migrations/2.sql \
         /usr/share/app/migrations/next.sql /usr/share/app/migrations/next.txt /usr/share/app/themes/x.css \
         /usr/share/app/themes/y.css /usr/share/app/themes/z.css /usr/share/doc/app/NEWS",
    )];
    let profile = recorded(
        image(debian(&before)),
        "exec:/usr/bin/app /usr/share/app/migrations/1.sql /usr/share/app/migrations/2.sql /usr/share/app/themes/x.css",
    );
    let fixture = image(debian(&after));
    let (carried, report) = carried(&profile, &fixture);
    let new: Vec<_> = report.new.iter().map(|new| format!("{} {}", new.path, new.kept)).collect();
    assert_eq!(
        new,
        [
            "/usr/share/app/migrations/next.sql true",
            "/usr/share/app/migrations/next.txt false",
            "/usr/share/app/themes/z.css false",
        ]
    );
    let plan = crate::plan(&fixture.image, &fixture.packages, &carried, &Policy::default()).unwrap();
    let entry = &plan.ledger.entries[&path("/usr/share/app/migrations/next.sql")];
    assert_eq!(entry.rule, Rule::Carried);
    let old = entry.evidence.as_ref().unwrap().carried_from.clone();
    assert_eq!(old, Some(path("/usr/share/app/migrations/1.sql")));
    assert_eq!(plan.ledger.entries[&path("/usr/bin/app")].rule, Rule::Carried);
    let explanation = crate::explain(&plan.ledger, &path("/usr/share/app/migrations/next.sql")).to_string();
    assert!(explanation.contains("in another version of the image, as /usr/share/app/migrations/1.sql"));
}

#[test]
fn what_this_version_was_seen_to_use_is_observed_and_not_carried() {
    let (before, after) = (image(debian(&[APP])), image(debian(&[APP, ("more", "/usr/share/more")])));
    let old = recorded(before, "exec:/usr/bin/app /etc/app.conf");
    let own = recorded(image(debian(&[APP, ("more", "/usr/share/more")])), "exec:/usr/bin/app");
    for order in [[old.clone(), own.clone()], [own, old]] {
        let (profile, reports) = fit(&order, &after.image, &after.packages, 10).unwrap();
        assert_eq!(reports.len(), 1);
        let plan = crate::plan(&after.image, &after.packages, &profile, &Policy::default()).unwrap();
        assert_eq!(plan.ledger.entries[&path("/usr/bin/app")].rule, Rule::Observed);
        assert_eq!(plan.ledger.entries[&path("/etc/app.conf")].rule, Rule::Carried);
    }
}

#[test]
fn another_image_is_refused_and_so_is_too_much_doubt() {
    let profile = recorded(image(debian(&[APP])), "exec:/usr/bin/app /etc/app.conf /usr/share/app/a");
    let other = image(debian(&[("other", "/usr/bin/other /etc/other.conf"), ("base", "/usr/share/app/a")]));
    let error = carry(&profile, &other.image, &other.packages).unwrap_err();
    assert!(matches!(error, CarryError::OtherImage { found: 1, used: 3, .. }), "{error}");
    // Most is there, but not what the image starts with.
    let base = image(debian(&[("base", "/etc/app.conf /usr/share/app/a")]));
    let started = recorded(image(debian(&[APP])), "exec:/usr/bin/app /etc/app.conf /usr/share/app/a");
    assert!(matches!(carry(&started, &base.image, &base.packages), Err(CarryError::OtherImage { .. })));

    let less = image(debian(&[("app", "/usr/bin/app /usr/share/app/a")]));
    let profiles = [profile];
    let error = fit(&profiles, &less.image, &less.packages, 33).unwrap_err();
    assert!(matches!(error, CarryError::TooUncertain { .. }), "{error}");
    assert!(
        error.to_string().contains("of 3 used paths 1 are lost and 0 uncertain in this one, 34 %"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--max-uncertain 34. What was lost: /etc/app.conf"));
    let (fitted, reports) = fit(&profiles, &less.image, &less.packages, 34).unwrap();
    assert_eq!((fitted.used().count(), reports[0].dropped.len()), (2, 1));
}

#[test]
fn a_profile_is_carried_on_and_on() {
    let version = |n: u32| {
        let lib = format!("/usr/lib/liba.so.{n}");
        image(debian(&[APP, (&format!("liba{n}"), &lib)]))
    };
    let first = recorded(version(1), "exec:/usr/bin/app /usr/lib/liba.so.1");
    let (second, _) = carried(&first, &version(2));
    let (third, report) = carried(&second, &version(3));
    assert_eq!(report.from.image_id, second.image.image_id);
    assert_eq!(third.carried[&path("/usr/lib/liba.so.3")], path("/usr/lib/liba.so.1"));
    assert_eq!(third.runs[0].carried_from.as_ref(), Some(&first.image));
    let written = third.to_bytes().unwrap();
    assert_eq!(Profile::from_bytes(&written, &profile::ReadLimits::default()).unwrap(), third);
}

/// Packages, files of none, versions and hashes in names.
fn system(version: u32) -> TarBuilder {
    let (n, next) = (version, version + 1);
    debian(&[
        ("base", "/usr/bin/app /etc/app.conf /usr/lib/libc.so.6"),
        (&format!("liba{n}"), &format!("/usr/lib/liba.so.{n} /usr/lib/a/{n}/x /usr/lib/a/{n}/y")),
        (&format!("b={n}"), &format!("/usr/share/b/b-{n}.{next}.dat /usr/share/b/c.dat")),
    ])
    .entry(TarEntry::file(format!("srv/app.{n}a{n}b{n}c.js"), "js"))
    .entry(TarEntry::file("srv/index.html", "<p>"))
}

fn any_uses() -> impl Strategy<Value = BTreeSet<Observation>> {
    let paths: Vec<ImagePath> = image(system(1))
        .image
        .tree()
        .iter()
        .map(|(path, _)| path.clone())
        .filter(|path| !path.is_root())
        .collect();
    let kinds = prop::sample::select(vec![
        AccessKind::Exec,
        AccessKind::OpenRead,
        AccessKind::Readlink,
        AccessKind::Stat,
        AccessKind::Missing,
    ]);
    let observation =
        (prop::sample::select(paths), kinds, 0..2u32, 0..3u8).prop_map(|(path, kind, step, exe)| {
            let process = Process { exe: format!("/bin/{exe}"), argv0: exe.to_string() }.into();
            let errno = if kind == AccessKind::Missing { 2 } else { 0 };
            Observation { path, kind, errno, process, step: Step(step) }
        });
    prop::collection::btree_set(observation, 1..14)
}

fn profile_of(fixture: &Fixture, uses: &BTreeSet<Observation>) -> Profile {
    let mut profile = Profile::from_run(identity(&fixture.image), run(), uses);
    profile.surroundings = surroundings(&profile, &fixture.image, &fixture.packages).unwrap();
    profile
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn carrying_to_the_same_files_is_the_identity(uses in any_uses()) {
        let fixture = image(system(1));
        let profile = profile_of(&fixture, &uses);
        let (fitted, reports) = fit(std::slice::from_ref(&profile), &fixture.image, &fixture.packages, 0).unwrap();
        prop_assert_eq!(&fitted, &profile);
        prop_assert!(reports.is_empty());
        // The same files under another image ID.
        let config = serde_json::json!({"Env": ["A=B"]});
        let twin = crate::fixture::configured(system(1), config);
        let (again, report) = carried(&profile, &twin);
        prop_assert_eq!(&again.paths, &profile.paths);
        prop_assert_eq!(&again.processes, &profile.processes);
        prop_assert_eq!(&again.surroundings, &profile.surroundings);
        prop_assert!(again.carried.is_empty() && report.new.is_empty());
        prop_assert_eq!((report.unchanged, report.doubtful_percent()), (report.used, 0));
    }

    #[test]
    fn carrying_is_deterministic_and_profiles_may_be_merged_before_or_after(a in any_uses(), b in any_uses()) {
        let (before, after) = (image(system(1)), image(system(2)));
        let profiles = [profile_of(&before, &a), profile_of(&before, &b)];
        let carry_one = |profile: &Profile| carry(profile, &after.image, &after.packages);
        let merged = profile::merge(&profiles).unwrap();
        let results = [carry_one(&profiles[0]), carry_one(&profiles[1]), carry_one(&merged), carry_one(&merged)];
        let [Ok(one), Ok(other), Ok(all), Ok(again)] = results else { return Ok(()) };
        prop_assert_eq!(&all, &again);
        let apart = profile::merge(&[one.0, other.0]).unwrap();
        // What the surroundings of one profile tell is not known to the other: only that may differ.
        let names = |profile: &Profile| profile.paths.keys().cloned().collect::<BTreeSet<_>>();
        prop_assert!(names(&apart).is_subset(&names(&all.0)) || all.1.uncertain.is_empty());
        let turned = profile::merge(&[profiles[1].clone(), profiles[0].clone()]).unwrap();
        let (turned, report) = carry_one(&turned).unwrap();
        prop_assert_eq!(&turned.carried, &all.0.carried);
        prop_assert_eq!(names(&turned), names(&all.0));
        prop_assert_eq!(report, all.1);
    }

    #[test]
    fn every_used_path_is_accounted_for_and_what_is_carried_is_there(uses in any_uses()) {
        let (before, after) = (image(system(1)), image(system(2)));
        let profile = profile_of(&before, &uses);
        let Ok((new, report)) = carry(&profile, &after.image, &after.packages) else { return Ok(()) };
        let listed = report.carried.len() + report.uncertain.len() + report.dropped.len();
        prop_assert_eq!(report.unchanged + listed as u64, report.used);
        for (path, usage) in new.used() {
            prop_assert!(after.image.tree().get(path).is_some(), "{}", path);
            prop_assert!(!usage.0.is_empty());
        }
        let bytes = new.to_bytes().unwrap();
        prop_assert_eq!(Profile::from_bytes(&bytes, &profile::ReadLimits::default()).unwrap(), new);
    }
}
