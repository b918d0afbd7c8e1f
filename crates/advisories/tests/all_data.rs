//! All real data at hand, from the directory that `CAREEN_VULNDATA` names. It is larger than what a repository should
//! hold; `excerpts.rs` tests each format on a piece of it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what cannot be read fails its test")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use careen_advisories::Database;
use careen_advisories::import::{Import, Limits};

fn data() -> Option<PathBuf> {
    let dir = std::env::var_os("CAREEN_VULNDATA").map(PathBuf::from);
    if dir.is_none() {
        println!("SKIP: CAREEN_VULNDATA names no directory of vulnerability data");
    }
    dir
}

fn build(dir: &Path) -> Vec<u8> {
    let mut import = Import::new("2026-11-22T00:00:00Z", Limits::default());
    import.path(dir, &mut |_| true).unwrap();
    import.finish().finish().unwrap()
}

#[test]
fn all_data_at_hand_become_one_database_within_a_minute() {
    let Some(dir) = data() else { return };
    let begun = Instant::now();
    let bytes = build(&dir);
    let took = begun.elapsed();
    let file = tempfile::NamedTempFile::new().unwrap();
    careen_advisories::database::write(file.path(), &bytes).unwrap();
    let begun = Instant::now();
    let database = Database::open(file.path()).unwrap();
    println!("built in {took:?}, {} bytes, opened in {:?}", bytes.len(), begun.elapsed());
    let begun = Instant::now();
    for _ in 0..100 {
        Database::open(file.path()).unwrap();
    }
    println!("opened again in {:?}", begun.elapsed() / 100);
    println!("{:?}", database.counts());
    for source in database.sources() {
        println!(
            "{:24} {:40} {:7} records {:4} broken  {}  {:?} {:?}",
            source.name,
            source.location,
            source.records,
            source.broken,
            source.newest.as_deref().unwrap_or("-"),
            source.unused,
            source.problems
        );
    }
    assert!(took < Duration::from_secs(60), "{took:?}");
    database.check().unwrap();
    assert_eq!(bytes, build(&dir), "the same input gives the same bytes");
}
