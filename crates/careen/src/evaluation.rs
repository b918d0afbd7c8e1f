//! Leave-one-out, run: each step of a coverage on an image that was hardened without it.
//!
//! For each step the coverage is recorded once more without it, on the original: a path that the step was the first to
//! use may have been used again later, and the profile of one run knows only the first time. The plans made of such a
//! recording are not written; what they change is laid over the unpacked layers of the original. Plans that keep and
//! replace the same share one run.

mod table;

use std::collections::BTreeMap;

use coverage::{Action, Coverage, Observer, RecordEvent, RecordOptions};
use engine::Unpacked;
use harden::{Decision, Evaluation, Generalize, Plan, PlanError, Policy, StepEvaluation, Total, Trial};
use image::{Digest, Edits, Image, Tree};
use packages::PackageDatabase;
use profile::Profile;

use crate::commands::record::{self, Recorder};
use crate::context::Context;
use crate::exit::ExitCode;
use crate::failure::Failure;
use crate::hints;
use crate::progress::Progress;
pub(crate) use table::{policy_name, text};

/// All policies, least generous first.
pub(crate) const ALL: [Generalize; 3] = [Generalize::None, Generalize::References, Generalize::Package];

/// What to evaluate.
pub(crate) struct Evaluator<'a> {
    pub(crate) context: &'a Context,
    pub(crate) recorder: &'a Recorder<'a>,
    pub(crate) original: &'a Image,
    pub(crate) packages: &'a PackageDatabase,
    /// All of the policy but how far it generalises.
    pub(crate) policy: &'a Policy,
    /// The policies to try.
    pub(crate) generalize: &'a [Generalize],
    /// Names of the steps to leave out; none means all.
    pub(crate) only: &'a [String],
}

impl Evaluator<'_> {
    /// Refuses names of steps that the coverage does not have, before anything runs.
    pub(crate) fn check(coverage: &Coverage, only: &[String]) -> Result<(), Failure> {
        let known = |name: &&String| coverage.steps.iter().any(|step| step.name == **name);
        match only.iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => {
                let names: Vec<_> = coverage.steps.iter().map(|step| step.name.as_str()).collect();
                Err(Failure::new(ExitCode::Usage, format!("the coverage has no step named {name:?}"))
                    .hint(format!("its steps are: {}", names.join(", "))))
            }
        }
    }

    /// Leaves out one step after the other. `whole` is a recording of the original with all steps.
    pub(crate) fn evaluate(&self, whole: &Profile) -> Result<Evaluation, Failure> {
        let coverage = self.recorder.coverage();
        let unpacked = self.recorder.unpack(self.original)?;
        let progress = &self.context.progress;
        progress.stage("plan", None);
        let mut kept = Vec::new();
        let mut original = Total::default();
        for &generalize in self.generalize {
            let plan = self.plan(whole, generalize).map_err(|error| self.refused(error))?;
            let [stays, goes] = [Decision::Keep, Decision::Remove].map(|side| plan.ledger.total(side));
            kept.push((generalize, stays));
            original = Total {
                files: stays.files + goes.files,
                directories: stays.directories + goes.directories,
                bytes: stays.bytes + goes.bytes,
            };
        }
        let steps: Vec<_> = coverage
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| self.only.is_empty() || self.only.contains(&step.name))
            .collect();
        let runs = steps.len() as u64 * (self.generalize.len() as u64 + 1);
        progress.runs(format!("evaluate {}", coverage.name), runs);
        let mut known = BTreeMap::new();
        let mut evaluated = Vec::new();
        for (n, &(index, step)) in steps.iter().enumerate() {
            progress.detail(&format!("step {} of {}, {}", n + 1, steps.len(), step.name));
            evaluated.push(self.leave_out(index, whole, &unpacked, &mut known)?);
        }
        progress.done(&crate::output::counted(steps.len() as u64, "step left out", "steps left out"));
        Ok(Evaluation::new(whole.image.clone(), &coverage.name, original, &kept, evaluated))
    }

    /// One step: the recording without it, a plan for each policy, the whole coverage on what each plan leaves.
    fn leave_out(
        &self,
        index: usize,
        whole: &Profile,
        unpacked: &Unpacked,
        known: &mut BTreeMap<Digest, Profile>,
    ) -> Result<StepEvaluation, Failure> {
        let progress = &self.context.progress;
        let name = self.recorder.coverage().steps[index].name.clone();
        let cannot = |reason: String| {
            progress.ran(self.generalize.len() as u64 + 1);
            Ok(StepEvaluation { name: name.clone(), cannot: Some(reason), trials: Vec::new() })
        };
        if let Action::Pause(_) | Action::WaitFor(_) = self.recorder.coverage().steps[index].action {
            return cannot("it only waits".to_owned());
        }
        let thin = match self.record_without(index, unpacked)? {
            Ok(thin) => thin,
            Err(reason) => return cannot(reason),
        };
        let mut trials = Vec::new();
        for &generalize in self.generalize {
            let plan = match self.plan(&thin, generalize) {
                Ok(plan) => plan,
                Err(error @ (PlanError::IncompleteProfile { .. } | PlanError::EmptyProfile)) => {
                    return cannot(error.to_string());
                }
                Err(error) => return Err(self.refused(error)),
            };
            if trials.is_empty() {
                progress.ran(1);
            }
            trials.push(self.try_plan(&name, &plan, whole, unpacked, known)?);
            progress.ran(1);
        }
        tracing::info!(step = name, "{name}: {}", verdicts(&trials));
        Ok(StepEvaluation { name, cannot: None, trials })
    }

    /// The original under the coverage without one step; a reason if the rest does not do without it.
    fn record_without(&self, index: usize, unpacked: &Unpacked) -> Result<Result<Profile, String>, Failure> {
        let mut coverage = self.recorder.coverage().clone();
        let step = coverage.steps.remove(index);
        let observer = Passing { progress: &self.context.progress, what: format!("without {}", step.name) };
        let options = RecordOptions { journal: self.recorder.journal(), ..self.recorder.options() };
        let engine = self.recorder.engine();
        match coverage::record(engine, self.original, unpacked, &coverage, &options, &observer) {
            Ok(profile) => Ok(Ok(profile)),
            Err(error) if record::is_about_the_workload(&error) => {
                let first = error.to_string().lines().next().unwrap_or_default().to_owned();
                Ok(Err(format!("without it the original fails: {first}")))
            }
            Err(error) => Err(self.recorder.failed(self.original, error)),
        }
    }

    /// Runs the whole coverage on what a plan leaves of the image, unless another plan left the same.
    fn try_plan(
        &self,
        step: &str,
        plan: &Plan,
        whole: &Profile,
        unpacked: &Unpacked,
        known: &mut BTreeMap<Digest, Profile>,
    ) -> Result<Trial, Failure> {
        let key = fingerprint(&plan.edits);
        let hardened = match known.get(&key) {
            Some(hardened) => hardened,
            None => known.entry(key).or_insert(self.run_edited(plan, unpacked)?),
        };
        Ok(harden::judge(step, &plan.ledger, whole, hardened))
    }

    /// Without a journal: what ran is neither image, and nobody wants it back.
    fn run_edited(&self, plan: &Plan, unpacked: &Unpacked) -> Result<Profile, Failure> {
        let generalize = policy_name(plan.ledger.policy.generalize);
        let observer = Passing { progress: &self.context.progress, what: format!("policy {generalize}") };
        let engine = self.recorder.engine();
        let edited = engine.edited(self.original, unpacked, &plan.edits).map_err(|error| {
            hints::engine(&format!("cannot try a plan for {}", self.original.source()), error)
        })?;
        let tree = self.original.tree().iter().filter(|(path, _)| plan.edits.keep.contains(*path));
        let tree: Tree = tree.map(|(path, node)| (path.clone(), node.clone())).collect();
        let options = RecordOptions { keep_going: true, ..self.recorder.options() };
        let coverage = self.recorder.coverage();
        let recorded = coverage::record_on(
            engine,
            self.original,
            &tree,
            edited.unpacked(),
            coverage,
            &options,
            &observer,
        );
        self.recorder.whatever_was_recorded(self.original, recorded)
    }

    fn plan(&self, profile: &Profile, generalize: Generalize) -> Result<Plan, PlanError> {
        let policy = Policy { generalize, ..self.policy.clone() };
        harden::plan(self.original, self.packages, profile, &policy)
    }

    fn refused(&self, error: PlanError) -> Failure {
        let hint = error.hint();
        let tried = format!("cannot plan the hardening of {}", self.original.source());
        hints::plain(ExitCode::Profile, tried, error).hint(hint)
    }
}

/// What the runs of a step say while they go on.
struct Passing<'a> {
    progress: &'a Progress,
    what: String,
}

impl Observer for Passing<'_> {
    fn event(&self, event: &RecordEvent<'_>) {
        if let RecordEvent::StepStarted { n, of, .. } = event {
            self.progress.passing(&format!("{}: {n} of {of}", self.what));
        }
    }
}

fn verdicts(trials: &[Trial]) -> String {
    let each: Vec<_> = trials
        .iter()
        .map(|trial| format!("{} {}", policy_name(trial.generalize), table::word(trial.verdict)))
        .collect();
    each.join(", ")
}

/// The same for edits that make the same image.
fn fingerprint(edits: &Edits) -> Digest {
    let mut bytes = Vec::new();
    let mut add = |part: &[u8]| {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    };
    add(&(edits.keep.len() as u64).to_le_bytes());
    edits.keep.iter().for_each(|path| add(path.as_bytes()));
    for (path, content) in &edits.replace {
        add(path.as_bytes());
        add(content);
    }
    Digest::of(&bytes)
}
