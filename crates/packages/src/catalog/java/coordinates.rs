//! Maven coordinates, and where they stand.

/// Group, artifact and version; empty where unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Coordinates {
    pub(super) group: String,
    pub(super) artifact: String,
    pub(super) version: String,
}

impl Coordinates {
    /// Those of a `pom.properties`; none unless it names all three.
    pub(super) fn of_properties(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut found = Self::default();
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with(['#', '!']) {
                continue;
            }
            let Some((name, value)) = line.split_once(['=', ':']) else { continue };
            let value = value.trim().to_owned();
            match name.trim() {
                "groupId" => found.group = value,
                "artifactId" => found.artifact = value,
                "version" => found.version = value,
                _ => {}
            }
        }
        let whole = [&found.group, &found.artifact, &found.version];
        whole.iter().all(|part| !part.is_empty() && !part.contains("${")).then_some(found)
    }
}

/// Artifact and version by the name of a file: `commons-io-2.11.0.jar`, `log4j-1.2_api.jar`.
pub(super) fn file_name(path: &str) -> Coordinates {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    // The version begins at the first part that begins with a digit and is no part of the name (`log4j-1.2-api`).
    let parts: Vec<&str> = stem.split('-').collect();
    let digit = |part: &str| part.bytes().next().is_some_and(|first| first.is_ascii_digit());
    let is_qualifier = |part: &str| {
        let part = part.to_ascii_lowercase();
        let known = [
            "snapshot",
            "release",
            "final",
            "ga",
            "rc",
            "alpha",
            "beta",
            "jre",
            "android",
            "sp",
            "m",
            "b",
            "redhat",
            "incubating",
            "jakarta",
            "java",
            "jdk",
        ];
        digit(&part) || known.iter().any(|word| part.starts_with(word))
    };
    let first = (1..parts.len())
        .find(|&at| digit(parts[at]) && parts[at + 1..].iter().all(|part| is_qualifier(part)));
    let (artifact, version) = match first {
        Some(at) => (parts[..at].join("-"), parts[at..].join("-")),
        None => (stem.to_owned(), String::new()),
    };
    Coordinates { group: String::new(), artifact, version }
}

/// Coordinates by the place in a Maven repository, `…/repository/GROUP/…/ARTIFACT/VERSION/ARTIFACT-VERSION.jar`, or in
/// Gradle's cache, `…/files-2.1/GROUP/ARTIFACT/VERSION/HASH/FILE`.
pub(super) fn repository(path: &str) -> Option<Coordinates> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if let Some(at) = parts.iter().position(|part| *part == "files-2.1")
        && let [group, artifact, version, _, _] = parts[at + 1..]
    {
        return Some(of(group, artifact, version));
    }
    let at = parts.iter().rposition(|part| matches!(*part, "repository" | "maven-repo" | "repo"))?;
    let [group @ .., artifact, version, file] = &parts[at + 1..] else { return None };
    let named = file.strip_prefix(artifact)?.strip_prefix('-')?.starts_with(version);
    (named && !group.is_empty()).then(|| of(&group.join("."), artifact, version))
}

fn of(group: &str, artifact: &str, version: &str) -> Coordinates {
    Coordinates { group: group.into(), artifact: artifact.into(), version: version.into() }
}

/// The group of well-known artifacts whose archives do not say it.
pub(super) fn group_of(artifact: &str) -> Option<&'static str> {
    let exact = EXACT.iter().find(|(name, _)| *name == artifact);
    let prefix = || PREFIXES.iter().find(|(prefix, _)| artifact.starts_with(prefix));
    exact.or_else(prefix).map(|(_, group)| *group)
}

const EXACT: &[(&str, &str)] = &[
    ("commons-beanutils", "commons-beanutils"),
    ("commons-cli", "commons-cli"),
    ("commons-codec", "commons-codec"),
    ("commons-collections", "commons-collections"),
    ("commons-dbcp", "commons-dbcp"),
    ("commons-fileupload", "commons-fileupload"),
    ("commons-httpclient", "commons-httpclient"),
    ("commons-io", "commons-io"),
    ("commons-lang", "commons-lang"),
    ("commons-logging", "commons-logging"),
    ("commons-net", "commons-net"),
    ("commons-pool", "commons-pool"),
    ("commons-validator", "commons-validator"),
    ("log4j", "log4j"),
    ("jackson-core", "com.fasterxml.jackson.core"),
    ("jackson-databind", "com.fasterxml.jackson.core"),
    ("jackson-annotations", "com.fasterxml.jackson.core"),
    ("guava", "com.google.guava"),
    ("gson", "com.google.code.gson"),
    ("protobuf-java", "com.google.protobuf"),
    ("h2", "com.h2database"),
    ("postgresql", "org.postgresql"),
    ("mysql-connector-java", "mysql"),
    ("mysql-connector-j", "com.mysql"),
    ("fastjson", "com.alibaba"),
    ("xstream", "com.thoughtworks.xstream"),
    ("snakeyaml", "org.yaml"),
    ("struts2-core", "org.apache.struts"),
    ("kafka-clients", "org.apache.kafka"),
    ("zookeeper", "org.apache.zookeeper"),
    ("httpclient", "org.apache.httpcomponents"),
    ("httpcore", "org.apache.httpcomponents"),
    ("httpclient5", "org.apache.httpcomponents.client5"),
    ("jsoup", "org.jsoup"),
    ("dom4j", "org.dom4j"),
    ("json-smart", "net.minidev"),
    ("json", "org.json"),
    ("ant", "org.apache.ant"),
    ("xercesImpl", "xerces"),
    ("xalan", "xalan"),
    ("velocity", "org.apache.velocity"),
    ("hibernate-core", "org.hibernate"),
    ("jline", "org.jline"),
    ("okhttp", "com.squareup.okhttp3"),
    ("okio", "com.squareup.okio"),
    ("groovy", "org.codehaus.groovy"),
    ("junit", "junit"),
];

const PREFIXES: &[(&str, &str)] = &[
    ("log4j-", "org.apache.logging.log4j"),
    ("spring-boot", "org.springframework.boot"),
    ("spring-security-", "org.springframework.security"),
    ("spring-cloud-", "org.springframework.cloud"),
    ("spring-data-", "org.springframework.data"),
    ("spring-", "org.springframework"),
    ("jackson-dataformat-", "com.fasterxml.jackson.dataformat"),
    ("jackson-datatype-", "com.fasterxml.jackson.datatype"),
    ("jackson-module-", "com.fasterxml.jackson.module"),
    ("netty-", "io.netty"),
    ("slf4j-", "org.slf4j"),
    ("logback-", "ch.qos.logback"),
    ("tomcat-embed-", "org.apache.tomcat.embed"),
    ("tomcat-", "org.apache.tomcat"),
    ("jetty-", "org.eclipse.jetty"),
    ("bcprov-", "org.bouncycastle"),
    ("bcpkix-", "org.bouncycastle"),
    ("bcpg-", "org.bouncycastle"),
    ("undertow-", "io.undertow"),
    ("vertx-", "io.vertx"),
    ("lucene-", "org.apache.lucene"),
    ("commons-", "org.apache.commons"),
    ("kotlin-", "org.jetbrains.kotlin"),
    ("scala-", "org.scala-lang"),
    ("maven-", "org.apache.maven"),
    ("shiro-", "org.apache.shiro"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_part_where_the_version_begins() {
        for (name, artifact, version) in [
            ("commons-io-2.11.0.jar", "commons-io", "2.11.0"),
            ("/usr/share/java/guava-31.1-jre.jar", "guava", "31.1-jre"),
            ("log4j-1.2-api-2.17.1.jar", "log4j-1.2-api", "2.17.1"),
            ("spring-core-6.0.0-SNAPSHOT.jar", "spring-core", "6.0.0-SNAPSHOT"),
            ("scala-library_2.13.jar", "scala-library_2.13", ""),
            ("app.jar", "app", ""),
            ("2.jar", "2", ""),
        ] {
            let found = file_name(name);
            assert_eq!((found.artifact.as_str(), found.version.as_str()), (artifact, version), "{name}");
        }
    }

    #[test]
    fn repositories_say_all_three() {
        let maven = "/root/.m2/repository/org/apache/commons/commons-text/1.9/commons-text-1.9.jar";
        let gradle = "/root/.gradle/caches/modules-2/files-2.1/com.x/y/1.0/abcdef/y-1.0.jar";
        assert_eq!(repository(maven), Some(of("org.apache.commons", "commons-text", "1.9")));
        assert_eq!(repository(gradle), Some(of("com.x", "y", "1.0")));
        assert_eq!(repository("/opt/repository/readme.jar"), None);
        assert_eq!(repository("/opt/app-1.0.jar"), None);
    }

    #[test]
    fn properties_need_all_three() {
        assert_eq!(Coordinates::of_properties(b"groupId=a\nartifactId=b\n"), None);
        assert_eq!(Coordinates::of_properties(b"groupId=a\nartifactId=b\nversion=${v}\n"), None);
        assert_eq!(
            Coordinates::of_properties(b"version:1\r\ngroupId=a\r\nartifactId=b"),
            Some(of("a", "b", "1"))
        );
    }
}
