//! The same on nginx.

use crate::support::{can_run, document, hardened, image, umoci};

#[test]
fn nginx_keeps_a_fifth_and_still_serves() {
    if !can_run() {
        return;
    }
    let (Some(source), Some(dir)) = (image("nginx"), hardened("nginx")) else { return };
    let (before, after) = (umoci(&source), umoci(&dir.join("nginx")));
    let ((files_before, bytes_before), (files_after, bytes_after)) = (before.files(), after.files());
    println!("bytes {bytes_before} -> {bytes_after}, files {} -> {}", files_before.len(), files_after.len());
    assert!(bytes_after * 5 <= bytes_before, "{bytes_after} of {bytes_before} bytes remain");
    assert!(files_after.len() * 10 <= files_before.len());
    let result = document(&dir.join("nginx.careen/result.json"));
    assert_eq!(result["verification"]["verdict"], "passed");
    let steps = result["runs"][0]["steps"].as_array().unwrap();
    assert!(
        steps.len() > 5
            && steps.iter().all(|step| step["allow_failure"] == true || step["outcome"] == "exited")
    );
}
