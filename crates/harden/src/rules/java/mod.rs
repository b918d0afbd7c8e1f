//! What a used Java run time needs beside it, and what used jars name.

mod archive;
mod class;

use std::collections::BTreeSet;

use image::ImagePath;

use super::reference::{Reference, beneath, is_own_code};
use crate::draft::Draft;
use crate::scene::Scene;
use crate::{PlanError, Rule};

/// Libraries of the run time that `System.loadLibrary` of its own classes opens when they are first used: network, files,
/// management, logins, preferences. Together half a megabyte. Those for sound, screens, PKCS#11, SCTP, smart cards and
/// debuggers are kept only if they were used.
const LIBRARIES: [&[u8]; 17] = [
    b"libextnet.so",
    b"libjaas.so",
    b"libjava.so",
    b"libjimage.so",
    b"libjli.so",
    b"libjsig.so",
    b"libmanagement.so",
    b"libmanagement_agent.so",
    b"libmanagement_ext.so",
    b"libnet.so",
    b"libnio.so",
    b"libprefs.so",
    b"librmi.so",
    b"libsyslookup.so",
    b"libverify.so",
    b"libzip.so",
    b"libattach.so",
];
/// Further files of `lib`: settings of the launcher, time zones, the helper that starts every process.
const FILES: [&[u8]; 4] = [b"jspawnhelper", b"jvm.cfg", b"modules", b"tzdb.dat"];
/// What images are drawn with; kept together once one of them was used.
const DRAWING: [&[u8]; 9] = [
    b"fontconfig.bfc",
    b"fontconfig.properties",
    b"libawt.so",
    b"libawt_headless.so",
    b"libfontmanager.so",
    b"libjavajpeg.so",
    b"liblcms.so",
    b"libmlib_image.so",
    b"psfontj2d.properties",
];
/// Variables with options of the virtual machine.
const OPTIONS: [&str; 6] =
    ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "JAVA_OPTS", "CATALINA_OPTS", "JVM_OPTS"];
/// Where native libraries of Debian's packages are.
const NATIVE: [&str; 3] = ["/usr/lib/jni", "/usr/lib/x86_64-linux-gnu/jni", "/usr/java/packages/lib"];
/// Most bytes of classes that are inflated of one jar, of one class, and of an unpacked web application.
const MAX_JAR_BYTES: usize = 24 << 20;
const MAX_CLASS_BYTES: u64 = 1 << 20;
const MAX_WEB_BYTES: u64 = 256 << 20;

/// Keeps the run time's own files once its virtual machine was used, what options in the environment name, and of an
/// unpacked web application of which a library or class was used, the rest: its pages are asked for by users.
pub(crate) fn apply(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    fresh: &BTreeSet<ImagePath>,
) -> Result<(), PlanError> {
    for path in fresh {
        if path.name() == b"libjvm.so" && scene.is_in_use(draft, path) {
            // HOME/lib/server/libjvm.so
            if let Some(home) = path.ancestors().nth(2) {
                keep_run_time(scene, draft, &home, path);
                keep_options(scene, draft, &home, path);
            }
        }
        let web = path.ancestors().find(|directory| directory.name() == b"WEB-INF");
        if let Some(application) = web.and_then(|directory| directory.parent())
            && scene.is_in_use(draft, path)
            && draft.reason(path).is_none_or(|reason| reason.rule != Rule::Java)
        {
            keep_application(scene, draft, &application, path);
        }
    }
    Ok(())
}

fn keep_run_time(scene: &Scene<'_>, draft: &mut Draft<'_>, home: &ImagePath, machine: &ImagePath) {
    let root = ImagePath::root();
    let mut keep =
        |path: &ImagePath| drop(draft.keep_way(&root, &path.to_absolute(), Rule::Java, Some(machine)));
    let Ok(library) = home.join(b"lib") else { return };
    let was_drawing = scene.profile.used().any(|(path, _)| {
        path.is_within(&library)
            && (path.name().starts_with(b"libawt") || path.name() == b"libfontmanager.so")
    });
    for (path, _) in scene.tree().children(&library) {
        let name = path.name();
        if LIBRARIES.contains(&name) || FILES.contains(&name) || (was_drawing && DRAWING.contains(&name)) {
            keep(path);
        }
    }
    keep_if_there(scene, home, b"release", &mut keep);
    for directory in [&b"conf"[..], b"lib/security"] {
        let Ok(directory) = home.join(directory) else { continue };
        // Debian links both into /etc, whole or file by file.
        let Some(end) = scene.find(&directory.to_absolute()) else { continue };
        keep(&directory);
        for (path, _) in scene.tree().within(&end) {
            keep(path);
        }
    }
    if was_drawing && let Some(fonts) = scene.find(b"/etc/fonts") {
        scene.tree().within(&fonts).for_each(|(path, _)| keep(path));
    }
}

fn keep_if_there(scene: &Scene<'_>, home: &ImagePath, name: &[u8], keep: &mut impl FnMut(&ImagePath)) {
    if let Ok(path) = home.join(name)
        && scene.tree().get(&path).is_some()
    {
        keep(&path);
    }
}

/// `-javaagent:PATH=…`, `-agentpath:PATH`, `-agentlib:NAME`, and absolute paths behind an equals sign.
fn keep_options(scene: &Scene<'_>, draft: &mut Draft<'_>, home: &ImagePath, machine: &ImagePath) {
    let options = OPTIONS.iter().filter_map(|name| scene.environment.get(name));
    for word in options.flat_map(|options| options.split_ascii_whitespace()) {
        let (agent, value) = match word.split_once(':') {
            Some((kind @ ("-javaagent" | "-agentpath" | "-agentlib"), rest)) => {
                (Some(kind), rest.split('=').next().unwrap_or_default())
            }
            _ => (
                None,
                word.trim_start_matches('-')
                    .split_once('=')
                    .map_or("", |(_, value)| value.trim_start_matches('=')),
            ),
        };
        let path = match agent {
            Some("-agentlib") => format!("/{}/lib/lib{value}.so", String::from_utf8_lossy(home.as_bytes())),
            _ => value.trim_start_matches("file:").to_owned(),
        };
        if agent == Some("-javaagent") {
            draft.keep_way(home, b"lib/libinstrument.so", Rule::Java, Some(machine));
        }
        if path.starts_with('/') {
            draft.keep_way(&ImagePath::root(), path.as_bytes(), Rule::Java, Some(machine));
        }
    }
}

fn keep_application(scene: &Scene<'_>, draft: &mut Draft<'_>, application: &ImagePath, path: &ImagePath) {
    if application.is_root() {
        return;
    }
    let parts = || scene.tree().within(application).map(|(path, _)| path);
    if parts().filter_map(|part| scene.file_size(part)).sum::<u64>() <= MAX_WEB_BYTES {
        for part in parts() {
            draft.keep(part, Rule::Java, Some(path));
        }
    }
}

/// What a jar or a class names; `None` for what is neither.
pub(crate) fn references(scene: &Scene<'_>, path: &ImagePath, content: &[u8]) -> Option<BTreeSet<Reference>> {
    let mut out = BTreeSet::new();
    if path.name().ends_with(b".class") {
        named(scene, path, &class::read(content)?, &mut out);
        return Some(out);
    }
    let is_archive = [&b".jar"[..], b".war", b".ear"].iter().any(|ending| path.name().ends_with(ending));
    if !is_archive || !content.starts_with(b"PK") {
        return None;
    }
    let mut budget = MAX_JAR_BYTES;
    search(scene, path, content, &mut budget, true, &mut out);
    Some(out)
}

/// Searches a jar, and jars that it holds uncompressed, as Spring Boot packs them.
fn search(
    scene: &Scene<'_>,
    path: &ImagePath,
    content: &[u8],
    budget: &mut usize,
    is_outer: bool,
    out: &mut BTreeSet<Reference>,
) {
    for entry in archive::entries(content) {
        if *budget == 0 {
            return;
        }
        if entry.name.ends_with(b".class") {
            let bytes = entry.read(MAX_CLASS_BYTES);
            *budget = budget.saturating_sub(bytes.len());
            if let Some(class) = class::read(&bytes) {
                named(scene, path, &class, out);
            }
        } else if is_outer && entry.name == b"META-INF/MANIFEST.MF" {
            let text = String::from_utf8_lossy(&entry.read(MAX_CLASS_BYTES)).into_owned();
            let base = path.parent().unwrap_or_default();
            for jar in class_path(&text) {
                out.extend(beneath(&base, &jar).map(Reference::File));
            }
        } else if is_outer
            && entry.name.ends_with(b".jar")
            && let Some(inner) = entry.stored()
        {
            search(scene, path, inner, budget, false, out);
        }
    }
}

/// `Class-Path` of a manifest, whose lines are folded after 72 bytes.
fn class_path(manifest: &str) -> Vec<String> {
    let unfolded = manifest.replace("\r\n", "\n").replace("\n ", "");
    let value = unfolded.lines().find_map(|line| line.strip_prefix("Class-Path:")).unwrap_or_default();
    value.split_ascii_whitespace().map(|word| word.trim_start_matches("file:").to_owned()).collect()
}

/// Paths that exist, libraries where the class loads any, commands where it starts any; for the image's own code also
/// files of the working directory.
fn named(scene: &Scene<'_>, path: &ImagePath, class: &class::Class<'_>, out: &mut BTreeSet<Reference>) {
    let working_directory =
        Some(scene.working_directory()).filter(|place| !place.is_root() && is_own_code(scene, path));
    for &literal in &class.literals {
        if let Some(place) = &working_directory
            && (4..256).contains(&literal.len())
            && literal.iter().any(|byte| b"./".contains(byte))
            && let Some(file) = std::str::from_utf8(literal).ok().and_then(|name| beneath(place, name))
            && file.is_within(place)
            && scene.file_size(&file).is_some()
        {
            out.insert(Reference::File(file));
        }
        let is_path = literal.len() > 3 && literal.starts_with(b"/") && literal[1..].contains(&b'/');
        if is_path {
            if !literal.contains(&b'*') && scene.find(literal).is_some() {
                out.insert(Reference::Path(literal.to_vec()));
            }
            continue;
        }
        let is_name = (2..64).contains(&literal.len())
            && literal.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte));
        if !is_name {
            continue;
        }
        if class.loads {
            let file = [b"lib", literal, b".so"].concat();
            let at = NATIVE.iter().map(|directory| [directory.as_bytes(), b"/", &file[..]].concat());
            out.extend(at.filter(|path| scene.find(path).is_some()).map(Reference::Path));
        }
        if class.starts && literal[0].is_ascii_lowercase() {
            out.insert(Reference::Command(literal.to_vec()));
        }
    }
}

/// The rest of the run time that a library of it belongs to, without what only developers use: compiler, headers,
/// documents, sources and modules to link others from.
pub(crate) fn unit(scene: &Scene<'_>, path: &ImagePath) -> Option<BTreeSet<ImagePath>> {
    if path.name() != b"libjvm.so" {
        return None;
    }
    const FOR_DEVELOPERS: [&[u8]; 11] = [
        b"jmods",
        b"include",
        b"man",
        b"docs",
        b"demo",
        b"sample",
        b"legal",
        b"src.zip",
        b"ct.sym",
        b"classlist",
        b"bin",
    ];
    let home = path.ancestors().nth(2)?;
    let depth = home.components().count();
    let parts = scene.tree().within(&home).map(|(path, _)| path);
    let is_part =
        |path: &&ImagePath| !path.components().skip(depth).any(|part| FOR_DEVELOPERS.contains(&part));
    Some(parts.filter(is_part).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{configured, image};
    use testkit::{TarBuilder, TarEntry};

    #[test]
    fn hard_43_the_run_times_own_files_stay_with_its_virtual_machine() {
        let home = "usr/lib/jvm/java";
        let words = format!(
            "{home}/lib/server/libjvm.so {home}/lib/server/classes.jsa {home}/lib/libnet.so {home}/lib/libsctp.so \
             {home}/lib/modules {home}/lib/jspawnhelper@755 {home}/lib/libinstrument.so {home}/release \
             {home}/conf->/etc/java etc/java/security/java.security {home}/lib/security/default.policy \
             {home}/lib/security/cacerts->/etc/ssl/certs/java/cacerts etc/ssl/certs/java/cacerts opt/agent.jar \
             etc/trust.jks {home}/bin/javac@755"
        );
        let env = "JAVA_TOOL_OPTIONS=-javaagent:/opt/agent.jar=a=b -Djavax.net.ssl.trustStore=/etc/trust.jks";
        let fixture = configured(&*words, serde_json::json!({"Env": [env]}))
            .uses(&format!("map-exec:/{home}/lib/server/libjvm.so"));
        let kept = fixture.plan().edits.keep;
        let is_kept = |path: &str| kept.contains(&crate::fixture::path(path));
        for path in [
            "lib/libnet.so",
            "lib/modules",
            "lib/jspawnhelper",
            "release",
            "conf",
            "lib/security/default.policy",
            "lib/security/cacerts",
            "lib/libinstrument.so",
        ] {
            assert!(is_kept(&format!("/{home}/{path}")), "{path}");
        }
        for path in [
            "/etc/java/security/java.security",
            "/etc/ssl/certs/java/cacerts",
            "/opt/agent.jar",
            "/etc/trust.jks",
        ] {
            assert!(is_kept(path), "{path}");
        }
        for path in ["lib/libsctp.so", "bin/javac", "lib/server/classes.jsa"] {
            assert!(!is_kept(&format!("/{home}/{path}")), "{path}");
        }
    }

    #[test]
    fn hard_43_used_jars_name_others_and_files_libraries_and_commands() {
        let manifest = b"Manifest-Version: 1.0\r\nClass-Path: lib/b.ja\r\n r ../c.jar\r\n";
        let class = class::tests::class(
            &["/etc/app.conf", "native", "git", "absent"],
            &["loadLibrary", "java/lang/ProcessBuilder"],
        );
        let jar = archive::tests::archive(&[("META-INF/MANIFEST.MF", manifest), ("A.class", &class)]);
        let words = "app/lib/b.jar c.jar usr/lib/jni/libnative.so etc/app.conf usr/bin/git@755 unused.jar";
        let fixture =
            image(TarBuilder::from_text(words).entry(TarEntry::file("app/a.jar", jar))).uses("/app/a.jar");
        let expected =
            ["/app/lib/b.jar", "/c.jar", "/etc/app.conf", "/usr/bin/git", "/usr/lib/jni/libnative.so"];
        assert_eq!(fixture.by(Rule::Reference), expected);
    }

    #[test]
    fn own_classes_name_files_of_the_working_directory() {
        let class = class::tests::class(&["./app.properties", "conf/more", "../etc/passwd", "gone.txt"], &[]);
        let jar = archive::tests::archive(&[("A.class", &class)]);
        let with = |place: &str| {
            let words = TarBuilder::from_text("app/app.properties app/conf/more etc/passwd");
            let layer = words.entry(TarEntry::file(place, jar.clone()));
            let fixture = configured(layer, serde_json::json!({"WorkingDir": "/app"}));
            fixture.uses(&format!("/{place}")).by(Rule::Reference)
        };
        assert_eq!(with("app/a.jar"), ["/app/app.properties", "/app/conf/more"]);
        assert!(with("usr/share/java/a.jar").is_empty());
    }

    #[test]
    fn hard_50_an_unpacked_web_application_keeps_its_pages() {
        let words = "webapps/shop/WEB-INF/lib/a.jar webapps/shop/style.css webapps/other/index.jsp";
        let fixture = image(words).uses("/webapps/shop/WEB-INF/lib/a.jar");
        assert_eq!(fixture.by(Rule::Java), ["/webapps/shop/style.css"]);
    }
}
