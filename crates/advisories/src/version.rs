//! The order of versions, by ecosystem.
//!
//! [`compare`] never fails: what a scheme cannot parse still has a place in its order, and the scheme's module says
//! which. Numbers may have any length. The time is linear in the length of what is compared.

mod apk;
mod composer;
mod debian;
mod digits;
mod dotted;
mod gem;
mod go;
mod lenient;
mod maven;
mod pep440;
mod rpm;
mod scheme;
mod semver;

use std::cmp::Ordering;

pub use scheme::Scheme;

/// How version `a` stands to version `b` in this scheme.
///
/// `compare(s, a, b)` is always the reverse of `compare(s, b, a)`. Different spellings of one version are equal:
/// `1.0` and `1.0.0` where the scheme says so.
pub fn compare(scheme: Scheme, a: &str, b: &str) -> Ordering {
    match scheme {
        Scheme::Debian => debian::compare(a, b),
        Scheme::Rpm => rpm::compare(a, b),
        Scheme::Apk => apk::compare(a, b),
        Scheme::Pep440 => pep440::compare(a, b),
        Scheme::Semver => semver::SEMVER.compare(a, b),
        Scheme::Pub => semver::PUB.compare(a, b),
        Scheme::Nuget => semver::NUGET.compare(a, b),
        Scheme::Go => go::compare(a, b),
        Scheme::Maven => maven::compare(a, b),
        Scheme::Gem => gem::compare(a, b),
        Scheme::Composer => composer::compare(a, b),
        Scheme::Dotted => dotted::compare(a, b),
        Scheme::Lenient => lenient::compare(a, b),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_two_strings_compare_one_way(a in ".{0,40}", b in "[0-9a-zA-Z.~^:+_#v-]{0,20}") {
            for scheme in Scheme::ALL {
                prop_assert_eq!(compare(scheme, &a, &b), compare(scheme, &b, &a).reverse(), "{:?}", scheme);
                prop_assert_eq!(compare(scheme, &a, &a), Ordering::Equal, "{:?}", scheme);
            }
        }

        #[test]
        fn likely_versions_compare_one_way(
            a in "v?[0-9]{1,3}([.~+_-](0|1|rc|alpha|r|p|[0-9a-c]{1,2})){0,5}",
            b in "v?[0-9]{1,3}([.~+_-](0|1|rc|alpha|r|p|[0-9a-c]{1,2})){0,5}",
        ) {
            for scheme in Scheme::ALL {
                prop_assert_eq!(compare(scheme, &a, &b), compare(scheme, &b, &a).reverse(), "{:?}", scheme);
                prop_assert_eq!(compare(scheme, &a, &a), Ordering::Equal, "{:?}", scheme);
            }
        }
    }

    #[test]
    fn a_megabyte_of_anything_is_compared_at_once() {
        for unit in ["1.", "1a", "-", "0-", "a.", "_alpha", "~", "^", "9", "0", "+", ".dev", "ä"] {
            let (a, b) = (unit.repeat(1 << 20), unit.repeat(1 << 20) + "1");
            for scheme in Scheme::ALL {
                let begun = std::time::Instant::now();
                let _ = compare(scheme, &a, &b);
                assert!(begun.elapsed().as_secs() < 5, "{scheme:?} with {unit:?}");
            }
        }
    }
}
