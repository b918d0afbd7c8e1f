//! How long planning takes on an image with a profile: `plan_time IMAGE PROFILE ROUNDS [KEEP_GLOB…]` prints one JSON
//! document with the seconds of each round. `cargo xtask bench harden` runs it.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::error::Error;
use std::time::Instant;

use careen_harden as harden;

use harden::Policy;
use image::{Image, OpenOptions};
use profile::Profile;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, profile, rounds, keep @ ..] = arguments.as_slice() else {
        return Err("usage: plan_time IMAGE PROFILE ROUNDS [KEEP_GLOB...]".into());
    };
    let image = Image::open(&image.parse()?, &OpenOptions::new())?;
    let profile = Profile::read(std::path::Path::new(profile))?;
    let policy = Policy { keep: keep.to_vec(), ..Policy::default() };
    let mut seconds = Vec::new();
    let mut kept = 0;
    for _ in 0..rounds.parse()? {
        let started = Instant::now();
        let packages = packages::read(&image)?;
        let plan = harden::plan(&image, &packages, &profile, &policy)?;
        seconds.push(started.elapsed().as_secs_f64());
        kept = plan.edits.keep.len();
    }
    println!("{}", serde_json::json!({ "paths": image.tree().len(), "kept": kept, "seconds": seconds }));
    Ok(())
}
