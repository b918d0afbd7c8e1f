//! What the image's settings name.

use image::ImagePath;

use crate::Rule;
use crate::draft::Draft;
use crate::scene::Scene;
use crate::shell;

/// Keeps what an engine needs to start a container of the image, and to check its health.
///
/// The program of the entry point, found as runc finds it; the program of the command, which entry scripts run last;
/// files that either names as arguments; the commands of the health check, which no coverage needs to run; the
/// directories to start in and to mount volumes on; and the lists in which engines look up users and home directories.
pub(crate) fn apply(scene: &Scene<'_>, draft: &mut Draft<'_>) {
    let settings = scene.settings();
    let root = ImagePath::root();
    draft.keep(&root, Rule::ImageConfig, None);

    for (position, words) in [&settings.entrypoint, &settings.cmd].into_iter().enumerate() {
        let words = words.as_deref().unwrap_or_default();
        command(scene, draft, words);
        let is_started = position == 0 || settings.entrypoint.as_ref().is_none_or(Vec::is_empty);
        if is_started
            && let Some(program) = words.first()
            && scene.program(program.as_bytes()).is_none()
        {
            draft.warn(format!("the image starts with {program:?}, which it lacks"));
        }
    }
    if let Some(healthcheck) = &settings.healthcheck {
        match healthcheck.test.split_first() {
            Some((kind, words)) if kind == "CMD" => command(scene, draft, words),
            Some((kind, words)) if kind == "CMD-SHELL" => {
                match settings.shell.as_deref().filter(|shell| !shell.is_empty()) {
                    Some(shell) => command(scene, draft, shell),
                    None => program(scene, draft, "/bin/sh"),
                }
                words
                    .iter()
                    .flat_map(|text| shell::commands(text))
                    .for_each(|name| program(scene, draft, &name));
            }
            _ => {}
        }
    }
    draft.keep_way(&root, format!("/{}", settings.working_dir).as_bytes(), Rule::ImageConfig, None);
    for volume in settings.volumes.keys() {
        draft.keep_way(&root, format!("/{volume}").as_bytes(), Rule::ImageConfig, None);
    }
    for list in ["/etc/passwd", "/etc/group"] {
        draft.keep_way(&root, list.as_bytes(), Rule::ImageConfig, None);
    }
}

/// Keeps the program of a command, what a shell's `-c` text runs, and regular files among its arguments.
fn command(scene: &Scene<'_>, draft: &mut Draft<'_>, words: &[String]) {
    let Some((name, arguments)) = words.split_first() else { return };
    program(scene, draft, name);
    let is_shell = name.rsplit('/').next().is_some_and(|name| matches!(name, "sh" | "bash" | "dash" | "ash"));
    if is_shell
        && let Some(at) = arguments.iter().position(|word| word == "-c" || word == "-ec" || word == "-lc")
    {
        let text = arguments.get(at + 1).map(String::as_str).unwrap_or_default();
        shell::commands(text).iter().for_each(|name| program(scene, draft, name));
        return;
    }
    let base = scene.working_directory();
    for word in arguments.iter().filter(|word| !word.starts_with('-') && !word.is_empty()) {
        if draft.find_file(&base, word.as_bytes()).is_some() {
            draft.keep_way(&base, word.as_bytes(), Rule::ImageConfig, None);
        }
    }
}

fn program(scene: &Scene<'_>, draft: &mut Draft<'_>, name: &str) {
    if let Some(path) = scene.program(name.as_bytes()) {
        draft.keep_way(&ImagePath::root(), &path, Rule::ImageConfig, None);
    }
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::{Fixture, configured};
    use serde_json::{Value, json};

    fn kept(words: &str, config: Value) -> Vec<String> {
        configured(words, config).uses("stat:/").by(Rule::ImageConfig)
    }

    #[test]
    fn hard_59_programs_are_found_as_the_engine_finds_them() {
        let words = "usr/bin/app@755 bin/app@755 usr/bin/notme usr/bin/tool@755 srv/run.sh@755 srv/app.conf";
        for (config, expected) in [
            (json!({"Entrypoint": ["app"]}), &["/usr/bin/app"][..]),
            (json!({"Entrypoint": ["app"], "Env": ["PATH=/bin:/usr/bin"]}), &["/bin/app"]),
            (json!({"Entrypoint": ["/usr/bin/app"], "Cmd": ["tool"]}), &["/usr/bin/app", "/usr/bin/tool"]),
            (
                json!({"Cmd": ["./run.sh", "app.conf", "/etc/none"], "WorkingDir": "/srv"}),
                &["/srv", "/srv/app.conf", "/srv/run.sh"],
            ),
        ] {
            assert_eq!(kept(words, config.clone()), expected, "{config}");
        }
    }

    #[test]
    fn health_checks_keep_their_shell_and_commands() {
        let words = "bin/sh@755 bin/bash@755 usr/bin/curl@755 usr/bin/test@755";
        let check = |test: Value| json!({"Healthcheck": {"Test": test}});
        for (config, expected) in [
            (check(json!(["CMD-SHELL", "curl -f x || exit 1"])), &["/bin/sh", "/usr/bin/curl"][..]),
            (check(json!(["CMD", "curl"])), &["/usr/bin/curl"]),
            (check(json!(["NONE"])), &[]),
            (
                json!({"Healthcheck": {"Test": ["CMD-SHELL", "true"]}, "Shell": ["/bin/bash", "-c"]}),
                &["/bin/bash"],
            ),
        ] {
            assert_eq!(kept(words, config.clone()), expected, "{config}");
        }
    }

    #[test]
    fn users_working_directory_and_volumes_stay() {
        let words = "etc/passwd etc/group data->srv/data srv/data/ srv/data/inside work/";
        let config = json!({"User": "app", "WorkingDir": "/work", "Volumes": {"/data": {}}});
        let fixture = configured(words, config).uses("stat:/");
        assert_eq!(fixture.by(Rule::ImageConfig), ["/etc/group", "/etc/passwd", "/srv/data", "/work"]);
        assert_eq!(fixture.by(Rule::Symlink), ["/data"]);
        assert_eq!(fixture.by(Rule::Unused), ["/srv/data/inside"]);
    }

    #[test]
    fn an_entry_point_that_the_image_lacks_is_warned_about() {
        let fixture: Fixture = configured("a", json!({"Cmd": ["gone"]})).uses("/a");
        assert_eq!(fixture.plan().warnings, ["the image starts with \"gone\", which it lacks"]);
    }
}
