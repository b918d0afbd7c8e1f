//! How long releases and packages are looked after: `distro-info-data` and `debian-security-support`.

use super::Release;
use crate::database::Support;
use crate::import::kind::{DEBIAN_RELEASES, DEBIAN_SUPPORT};
use crate::import::lines;
use crate::import::sink::{Sink, day};

/// Reads `debian.csv`: version, code name, series, created, release, end of life, of long-term support, ….
pub(in crate::import) fn releases(text: &str, sink: &mut Sink<'_>) {
    for line in lines(text).skip(1) {
        let columns: Vec<&str> = line.split(',').collect();
        let [version, _, series, ..] = columns.as_slice() else {
            sink.broken(&DEBIAN_RELEASES, line);
            continue;
        };
        let date = |at: usize| columns.get(at).and_then(|date| day(date)).map(str::to_owned);
        sink.read(&DEBIAN_RELEASES, date(4).as_deref());
        // `9`, but `3.1`.
        let name = if version.is_empty() { series } else { version };
        sink.builder.release(crate::database::Release {
            ecosystem: format!("Debian:{name}"),
            codename: (*series).to_owned(),
            released: date(4),
            end_of_life: date(5),
            end_of_long_term: date(6),
        });
    }
}

/// Reads a list of packages with less support than their release: `security-support-ended`, `….deb12`,
/// `security-support-limited`.
pub(in crate::import) fn support(name: &str, text: &str, sink: &mut Sink<'_>) {
    let release = name.rsplit_once(".deb").and_then(|(_, number)| Release::of_number(number));
    let is_old = release.is_none() && name.contains(".deb");
    let ecosystem = match (release, name.rsplit_once(".deb")) {
        (Some(release), _) => release.ecosystem(),
        (None, Some((_, number))) => format!("Debian:{number}"),
        (None, None) => "Debian".to_owned(),
    };
    let is_limited = name.contains("limited");
    for line in lines(text) {
        let mut rest = line.trim();
        let mut word = || {
            let (word, other) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            rest = other.trim_start();
            word
        };
        let package = word().to_owned();
        let (last, ended) = if is_limited { ("", None) } else { (word(), day(word())) };
        if !is_limited && ended.is_none() {
            sink.broken(&DEBIAN_SUPPORT, line);
            continue;
        }
        sink.read(&DEBIAN_SUPPORT, ended);
        if let (Some(release), Some(ended)) = (release, ended) {
            sink.debian.ended.insert((release, package.clone()), ended.to_owned());
        }
        if !is_old {
            sink.builder.support(Support {
                ecosystem: ecosystem.clone(),
                package,
                ended: ended.map(str::to_owned),
                last_version: (!is_limited).then(|| last.to_owned()),
                note: rest.to_owned(),
            });
        }
    }
}
