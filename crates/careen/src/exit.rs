//! Exit codes: part of the interface, documented in `docs/exit-codes.md`.

/// How `careen` ends. Scripts may rely on these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// All went well.
    Success = 0,
    /// A failure that none of the others names.
    Failure = 1,
    /// The command line is wrong (also clap's own code).
    Usage = 2,
    /// An image was not found, or cannot be read.
    Image = 3,
    /// The host cannot do what is needed: not root, no BPF, no overlayfs, no room.
    Host = 4,
    /// A coverage, profile, ledger or policy cannot be read.
    Document = 5,
    /// The coverage ran and failed: a step, or the workload was never ready.
    Coverage = 6,
    /// The profile cannot be used: it is incomplete, or of another image.
    Profile = 7,
    /// The hardened image did not pass verification. Nothing was written.
    Verification = 8,
    /// The output exists, or cannot be written.
    Output = 9,
    /// The hardened image did all that the original did, but looked for what was removed.
    Missed = 10,
    /// A scan found what `--fail-on` names.
    Findings = 11,
    /// Done, but not with all that was asked for.
    Partly = 12,
    /// Ctrl-C or SIGTERM. All was undone.
    Interrupted = 130,
}
