//! nginx and its descendants.

use std::collections::BTreeSet;

use image::ImagePath;

use super::{MAX_SETTINGS, Named, absolute, glob, is_plain, words};
use crate::PlanError;
use crate::draft::Draft;
use crate::scene::Scene;

/// Where the configuration is, as Debian, the official packages and nginx's own build have it.
const FILES: [&str; 4] = [
    "/etc/nginx/nginx.conf",
    "/usr/local/nginx/conf/nginx.conf",
    "/usr/local/openresty/nginx/conf/nginx.conf",
    "/etc/angie/angie.conf",
];
/// Directives whose first argument is a file, or a directory that stays alone.
const PATHS: [&str; 19] = [
    "auth_basic_user_file",
    "fastcgi_temp_path",
    "geoip_city",
    "geoip_country",
    "js_import",
    "js_include",
    "load_module",
    "perl_modules",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
    "proxy_ssl_trusted_certificate",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_crl",
    "ssl_dhparam",
    "ssl_password_file",
    "ssl_trusted_certificate",
    "xslt_stylesheet",
];

/// Reads the configuration that the server reads, with all that it includes.
pub(super) fn read(
    scene: &Scene<'_>,
    draft: &mut Draft<'_>,
    _program: &ImagePath,
) -> Result<Named, PlanError> {
    let mut named = Named::default();
    for file in FILES {
        let is_read = scene.find(file.as_bytes()).is_some_and(|end| scene.is_in_use(draft, &end));
        if is_read {
            follow(scene, file, &mut named)?;
        }
    }
    Ok(named)
}

fn follow(scene: &Scene<'_>, file: &str, named: &mut Named) -> Result<(), PlanError> {
    let conf = file.rsplit_once('/').map_or("/", |(directory, _)| directory);
    let prefix = if conf.ends_with("/conf") { conf.trim_end_matches("/conf") } else { "/usr/share/nginx" };
    let mut pending = vec![file.to_owned()];
    let mut read = BTreeSet::new();
    while let Some(file) = pending.pop() {
        if read.len() >= MAX_SETTINGS || !read.insert(file.clone()) {
            continue;
        }
        let Some(end) = scene.find(file.as_bytes()) else { continue };
        named.paths.insert(file);
        for line in words::nginx(&scene.text(&end)?) {
            let [directive, arguments @ ..] = &line[..] else { continue };
            let Some(first) = arguments.first().filter(|first| is_plain(first)) else { continue };
            match directive.as_str() {
                "include" => pending.extend(glob(scene, &absolute(conf, first))),
                "root" | "alias" => drop(named.roots.insert(absolute(prefix, first))),
                "load_module" => drop(named.paths.insert(module(scene, prefix, first))),
                name if PATHS.contains(&name) => drop(named.paths.insert(absolute(conf, first))),
                _ => {}
            }
        }
    }
    // Relative to the prefix, where neither root nor alias is set.
    named.roots.insert(absolute(prefix, "html"));
    Ok(())
}

/// `modules/x.so` stands beneath the prefix, which may be a link to the library directory.
fn module(scene: &Scene<'_>, prefix: &str, name: &str) -> String {
    let candidates = [absolute(prefix, name), absolute("/etc/nginx", name), absolute("/usr/lib/nginx", name)];
    let found = candidates.iter().find(|path| scene.find(path.as_bytes()).is_some());
    found.unwrap_or(&candidates[0]).clone()
}

#[cfg(test)]
mod tests {
    use crate::Rule;
    use crate::fixture::{Fixture, image};
    use testkit::{TarBuilder, TarEntry};

    pub(crate) fn server(files: &[(&str, &str)], words: &str) -> Fixture {
        let tar = TarBuilder::from_text(words);
        image(files.iter().fold(tar, |tar, (path, text)| tar.entry(TarEntry::file(path, *text))))
    }

    #[test]
    fn hard_50_documents_and_settings_that_nginx_names_stay() {
        let files = [
            (
                "etc/nginx/nginx.conf",
                "load_module modules/x.so;\nhttp { include mime.types; include conf.d/*.conf; }",
            ),
            (
                "etc/nginx/conf.d/a.conf",
                "server { root /srv/site; location /b { alias $x/y; } error_page 404 /404.html; }",
            ),
        ];
        let words = "usr/sbin/nginx@755 etc/nginx/mime.types etc/nginx/conf.d/a.conf.bak usr/lib/nginx/modules/x.so \
            srv/site/404.html srv/site/img/a.png srv/other usr/share/nginx/html/index.html";
        let fixture = server(&files, words).uses("exec:/usr/sbin/nginx /etc/nginx/nginx.conf");
        let expected = [
            "/etc/nginx/conf.d/a.conf",
            "/etc/nginx/mime.types",
            "/srv/site",
            "/srv/site/404.html",
            "/srv/site/img",
            "/srv/site/img/a.png",
            "/usr/lib/nginx/modules/x.so",
            "/usr/share/nginx/html",
            "/usr/share/nginx/html/index.html",
        ];
        assert_eq!(fixture.by(Rule::ServerModule), expected);
        let unused = server(&files, words).uses("stat:/usr/sbin/nginx /etc/nginx/nginx.conf");
        assert_eq!(unused.by(Rule::ServerModule), [""; 0]);
    }

    #[test]
    fn a_document_root_that_is_too_large_is_kept_as_far_as_it_was_used_and_told_of() {
        let conf = TarEntry::file("etc/nginx/nginx.conf", "http { server { root /srv/site; } }");
        let layer = |size| {
            let big = TarEntry::pax_sparse("srv/site/big", &[(0, b"x")], size);
            TarBuilder::from_text("usr/sbin/nginx@755 srv/site/used").entry(conf.clone()).entry(big)
        };
        let uses = "exec:/usr/sbin/nginx /etc/nginx/nginx.conf /srv/site/used";
        let small = image(layer(1 << 20)).uses(uses);
        assert!(small.by(Rule::ServerModule).contains(&"/srv/site/big".to_owned()));
        let large = image(layer(1 << 29)).uses(uses);
        assert!(!large.by(Rule::ServerModule).contains(&"/srv/site/big".to_owned()));
        assert!(large.plan().warnings.iter().any(|warning| warning.starts_with("/srv/site is served by")));
    }
}
