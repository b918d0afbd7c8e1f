//! Apache.

use std::collections::{BTreeMap, BTreeSet};

use image::ImagePath;

use super::{MAX_SETTINGS, Named, absolute, glob, is_plain, words};
use crate::PlanError;
use crate::draft::Draft;
use crate::scene::Scene;

/// Where the configuration is, with the server's root: Debian, Red Hat, Alpine, and the official image.
const FILES: [(&str, &str); 4] = [
    ("/etc/apache2/apache2.conf", "/etc/apache2"),
    ("/etc/httpd/conf/httpd.conf", "/etc/httpd"),
    ("/etc/apache2/httpd.conf", "/var/www"),
    ("/usr/local/apache2/conf/httpd.conf", "/usr/local/apache2"),
];
/// Directives with a file, or a directory that stays alone, at this place among the arguments.
const PATHS: [(&str, usize); 17] = [
    ("authgroupfile", 0),
    ("authuserfile", 0),
    ("coredumpdirectory", 0),
    ("loadfile", 0),
    ("loadmodule", 1),
    ("mimemagicfile", 0),
    ("php_ini_dir", 0),
    ("phpinidir", 0),
    ("proxymapfile", 0),
    ("sslcacertificatefile", 0),
    ("sslcacertificatepath", 0),
    ("sslcertificatechainfile", 0),
    ("sslcertificatefile", 0),
    ("sslcertificatekeyfile", 0),
    ("ssldhparametersfile", 0),
    ("typesconfig", 0),
    ("wsgiscriptalias", 1),
];
/// Directives with a directory of documents.
const ROOTS: [(&str, usize); 5] =
    [("alias", 1), ("aliasmatch", 1), ("documentroot", 0), ("scriptalias", 1), ("virtualdocumentroot", 0)];

/// Reads the configuration that the server reads, with all that it includes.
pub(super) fn read(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    _program: &ImagePath,
) -> Result<Named, PlanError> {
    let mut named = Named::default();
    for (file, root) in FILES {
        let is_read = scene.find(file.as_bytes()).is_some_and(|end| scene.is_in_use(draft, &end));
        if is_read {
            follow(scene, file, root, &mut named)?;
        }
    }
    Ok(named)
}

fn follow(scene: &Scene<'_>, file: &str, root: &str, named: &mut Named) -> Result<(), PlanError> {
    let mut variables = environment(scene, &absolute(root, "envvars"), named)?;
    let mut root = root.to_owned();
    let mut pending = vec![file.to_owned()];
    let mut read = BTreeSet::new();
    while let Some(file) = pending.pop() {
        if read.len() >= MAX_SETTINGS || !read.insert(file.clone()) {
            continue;
        }
        let Some(end) = scene.find(file.as_bytes()) else { continue };
        if scene.is_directory(&end) {
            pending.extend(glob(scene, &absolute(&file, "*")));
            continue;
        }
        named.paths.insert(file);
        for line in words::apache(&scene.text(&end)?) {
            let [directive, arguments @ ..] = &line[..] else { continue };
            let directive = directive.to_ascii_lowercase();
            let argument = |place: usize| {
                let text = expand(arguments.get(place)?, &variables);
                is_plain(&text).then(|| absolute(&root, &text))
            };
            let listed = |table: &[(&str, usize)]| {
                table.iter().find(|(name, _)| *name == directive).and_then(|(_, place)| argument(*place))
            };
            match directive.as_str() {
                "include" | "includeoptional" => {
                    pending.extend(argument(0).iter().flat_map(|pattern| glob(scene, pattern)));
                }
                "serverroot" => root = argument(0).unwrap_or(root),
                "define" => {
                    if let [name, value, ..] = arguments {
                        let value = expand(value, &variables);
                        variables.insert(name.clone(), value);
                    }
                }
                _ => {
                    named.paths.extend(listed(&PATHS));
                    named.roots.extend(listed(&ROOTS));
                }
            }
        }
    }
    Ok(())
}

/// What Debian's `envvars` exports, under the image's environment; the file itself is read when the server is reloaded.
fn environment(
    scene: &Scene<'_>,
    file: &str,
    named: &mut Named,
) -> Result<BTreeMap<String, String>, PlanError> {
    let mut out = BTreeMap::new();
    if let Some(end) = scene.find(file.as_bytes()) {
        named.paths.insert(file.to_owned());
        for line in scene.text(&end)?.lines() {
            let line = line.trim();
            let line = line
                .strip_prefix("export ")
                .or(line.strip_prefix(": \"${").map(|line| line.trim_end_matches("}\"")));
            let Some((name, value)) = line.and_then(|line| line.split_once('=')) else { continue };
            let value = value.trim_matches(['"', '\'']).replace("$SUFFIX", "");
            out.insert(name.trim_end_matches(':').to_owned(), value);
        }
    }
    out.extend(scene.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Ok(out)
}

/// Replaces `${NAME}`; an unknown one stays.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out += before;
        let Some((name, behind)) = after.split_once('}') else { break };
        match variables.get(name) {
            Some(value) => out += value,
            None => out += &format!("${{{name}}}"),
        }
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::image;
    use testkit::{TarBuilder, TarEntry};

    #[test]
    fn hard_50_documents_modules_and_links_that_apache_names_stay() {
        let files = [
            (
                "etc/apache2/apache2.conf",
                "IncludeOptional mods-enabled/*.load\nInclude ${APACHE_CONF}/*.conf\nTypesConfig /etc/mime.types",
            ),
            (
                "etc/apache2/envvars",
                ": \"${APACHE_CONF:=sites-enabled}\"\nexport APACHE_LOG_DIR=/var/log/apache2$SUFFIX\n",
            ),
            ("etc/apache2/mods-available/x.load", "LoadModule x_module /usr/lib/apache2/modules/mod_x.so"),
            (
                "etc/apache2/sites-available/a.conf",
                "<VirtualHost *:80>\nDocumentRoot /var/www/html\nAlias /icons/ \"/usr/share/apache2/icons/\"\n</VirtualHost>",
            ),
        ];
        let words = "usr/sbin/apache2@755 etc/apache2/mods-enabled/x.load->../mods-available/x.load \
            etc/apache2/sites-enabled/a.conf->../sites-available/a.conf usr/lib/apache2/modules/mod_x.so \
            usr/lib/apache2/modules/mod_y.so var/www/html/other.php usr/share/apache2/icons/a.png etc/mime.types";
        let tar = TarBuilder::from_text(words);
        let tar = files.iter().fold(tar, |tar, (path, text)| tar.entry(TarEntry::file(path, *text)));
        let fixture = image(tar).uses("exec:/usr/sbin/apache2 /etc/apache2/apache2.conf");
        let expected = [
            "/etc/apache2/envvars",
            "/etc/apache2/mods-available/x.load",
            "/etc/apache2/sites-available/a.conf",
            "/etc/mime.types",
            "/usr/lib/apache2/modules/mod_x.so",
            "/usr/share/apache2/icons",
            "/usr/share/apache2/icons/a.png",
            "/var/www/html",
            "/var/www/html/other.php",
        ];
        assert_eq!(fixture.by(Rule::ServerModule), expected);
        assert_eq!(
            fixture.by(Rule::Symlink),
            ["/etc/apache2/mods-enabled/x.load", "/etc/apache2/sites-enabled/a.conf"]
        );
    }
}
