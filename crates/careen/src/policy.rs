//! From policy files and options as typed to a policy.

use harden::{Generalize, Kit, PackageDb, Policy, PolicyFile, Preset};

use crate::cli::{GeneralizeArg, KitArg, PackageDbArg, PolicyArgs, PresetArg};
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::hints;

/// What the files say in their order, and then what was typed: lists are joined, and the last word counts.
pub(crate) fn resolve(args: &PolicyArgs) -> Result<Policy, Failure> {
    let mut policy = Policy::default();
    for file in &args.policy {
        let read = PolicyFile::read(file).map_err(|error| {
            let hint = error.hint();
            let tried = format!("cannot use the policy {}", file.display());
            hints::plain(ExitCode::Document, tried, error).hint(hint)
        })?;
        read.lay_over(&mut policy);
    }
    join(&mut policy.keep, &args.keep);
    join(&mut policy.remove, &args.remove);
    join(&mut policy.keep_packages, &args.keep_package);
    join(&mut policy.remove_packages, &args.remove_package);
    policy.kits.extend(args.kit.iter().map(|kit| match kit {
        KitArg::CommonCommands => Kit::CommonCommands,
        KitArg::Shell => Kit::Shell,
        KitArg::Debug => Kit::Debug,
    }));
    if let Some(generalize) = args.generalize {
        policy.generalize = match generalize {
            GeneralizeArg::None => Generalize::None,
            GeneralizeArg::References => Generalize::References,
            GeneralizeArg::Package => Generalize::Package,
        };
    }
    if let Some(package_db) = args.package_db {
        policy.package_db = match package_db {
            PackageDbArg::Keep => PackageDb::Keep,
            PackageDbArg::Filter => PackageDb::Filter,
            PackageDbArg::Drop => PackageDb::Drop,
        };
    }
    if let Some(preset) = args.preset {
        policy.preset = match preset {
            PresetArg::Light => Preset::Light,
            PresetArg::Standard => Preset::Standard,
            PresetArg::Aggressive => Preset::Aggressive,
        };
    }
    policy.keep_packages_coherent |= args.keep_packages_coherent;
    policy.keep_data_files |= args.keep_data_files;
    policy.keep_licenses &= !args.no_licenses;
    policy.accept_incomplete = args.accept_incomplete;
    policy.max_uncertain = args.max_uncertain.unwrap_or(policy.max_uncertain);
    policy.check().map_err(|error| {
        let hint = error.hint();
        hints::plain(ExitCode::Usage, "cannot use the policy", error).hint(hint)
    })?;
    Ok(policy)
}

/// Refuses a preset that asks for findings, where none are looked for.
pub(crate) fn refuse_preset(policy: &Policy, what: &str) -> Result<(), Failure> {
    match policy.preset {
        Preset::Aggressive => Ok(()),
        preset => Err(Failure::new(ExitCode::Usage, format!("{what} knows no preset {}", preset.name()))
            .hint("use --preset aggressive, which is the default".to_owned())),
    }
}

fn join(list: &mut Vec<String>, more: &[String]) {
    for text in more {
        if !list.contains(text) {
            list.push(text.clone());
        }
    }
}
