//! VEX documents that a scan honours.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use advisories::ScanReport;
use advisories::scan::Settled;
use advisories::vex::{self, Document};
use image::Digest;
use packages::PackageDatabase;

use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::hints;

/// More documents in one directory are no collection of VEX.
const MAX_DOCUMENTS: usize = 10_000;
/// A larger document is none.
const MAX_BYTES: u64 = 64 << 20;

/// Reads the documents that were named; of a directory those that end in `.json`, in order of name.
pub(crate) fn read(places: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    for place in places {
        if !place.is_dir() {
            documents.push(document(place)?);
            continue;
        }
        let failed = |source| cannot_read(place, source);
        let mut files = Vec::new();
        for entry in fs::read_dir(place).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.is_file() && file.extension().is_some_and(|ending| ending == "json") {
                files.push(file);
            }
            if files.len() > MAX_DOCUMENTS {
                return Err(failed(io::Error::other(format!("it has more than {MAX_DOCUMENTS} documents"))));
            }
        }
        files.sort();
        for file in &files {
            documents.push(document(file)?);
        }
    }
    Ok(documents)
}

fn document(file: &Path) -> Result<Document, Failure> {
    let mut bytes = Vec::new();
    fs::File::open(file)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| cannot_read(file, source))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(cannot_read(file, io::Error::other(format!("it has more than {MAX_BYTES} bytes"))));
    }
    let mut document = vex::read(&bytes).map_err(|error| {
        let hint = error.hint();
        let tried = format!("cannot use {} as a VEX document", file.display());
        hints::plain(ExitCode::Document, tried, error).hint(hint)
    })?;
    if document.id.is_empty() {
        document.id = file.display().to_string();
    }
    Ok(document)
}

fn cannot_read(place: &Path, source: io::Error) -> Failure {
    Failure::caused_by(ExitCode::Document, format!("cannot read {}", place.display()), source)
}

/// Settles what the documents say does not touch the image, or is fixed in it. `digests` are more that it goes by.
pub(crate) fn apply<'d>(
    report: &mut ScanReport,
    packages: &PackageDatabase,
    documents: &[Document],
    digests: impl IntoIterator<Item = &'d Digest>,
) {
    if documents.is_empty() {
        return;
    }
    for document in documents.iter().filter(|document| document.skipped > 0) {
        report.warnings.push(format!(
            "{}: {} statements could not be understood, and were left out",
            document.id, document.skipped
        ));
    }
    let images = || std::iter::once(&report.subject).chain(&report.hardened);
    let subject = vex::Subject {
        names: images().map(|image| image.reference.clone()).collect(),
        digests: images()
            .flat_map(|image| [image.manifest_digest, image.image_id])
            .flatten()
            .chain(digests.into_iter().copied())
            .collect(),
    };
    let findings: Vec<_> = report.findings.iter().map(|found| found.finding.clone()).collect();
    let judgements = vex::apply(&findings, packages, documents, &subject);
    for (found, judgement) in report.findings.iter_mut().zip(judgements) {
        let Some(judgement) = judgement.filter(|judgement| judgement.status.settles()) else { continue };
        let justification = judgement.justification.map(|justification| justification.name().to_owned());
        let words = [justification.unwrap_or_default(), judgement.text];
        found.settled.get_or_insert(Settled {
            by: judgement.document,
            status: judgement.status.name().to_owned(),
            reason: words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(": "),
            until: None,
        });
    }
    report.recount();
}
