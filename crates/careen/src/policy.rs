//! From policy options as typed to a policy.

use harden::{Generalize, Kit, PackageDb, Policy};

use crate::cli::{GeneralizeArg, KitArg, PackageDbArg, PolicyArgs};

/// What was typed.
pub(crate) fn of(args: &PolicyArgs) -> Policy {
    Policy {
        keep: args.keep.clone(),
        remove: args.remove.clone(),
        generalize: match args.generalize {
            None => Generalize::default(),
            Some(GeneralizeArg::None) => Generalize::None,
            Some(GeneralizeArg::References) => Generalize::References,
            Some(GeneralizeArg::Package) => Generalize::Package,
        },
        keep_packages_coherent: args.keep_packages_coherent,
        keep_data_files: args.keep_data_files,
        kits: args
            .kit
            .iter()
            .map(|kit| match kit {
                KitArg::CommonCommands => Kit::CommonCommands,
                KitArg::Shell => Kit::Shell,
                KitArg::Debug => Kit::Debug,
            })
            .collect(),
        package_db: match args.package_db {
            None => PackageDb::default(),
            Some(PackageDbArg::Keep) => PackageDb::Keep,
            Some(PackageDbArg::Filter) => PackageDb::Filter,
            Some(PackageDbArg::Drop) => PackageDb::Drop,
        },
        keep_licenses: !args.no_licenses,
        accept_incomplete: args.accept_incomplete,
        ..Policy::default()
    }
}
