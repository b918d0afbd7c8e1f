//! When to ask again, and how long to wait before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::RegistryError;

/// How often the same is asked.
pub(crate) const ATTEMPTS: u32 = 5;
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(8);
/// Whoever asks for more patience is told of instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait after the nth attempt.
pub(crate) fn backoff(attempt: u32) -> Duration {
    FIRST.saturating_mul(1 << attempt.min(8)).min(LONGEST)
}

/// Whether a status is one that passes.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=504)
}

/// Whether a failure is one that passes: a line that broke, and not a name or a port that is wrong.
pub(crate) fn is_transient(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => {
            !matches!(
                error.kind(),
                std::io::ErrorKind::ConnectionRefused
                    | std::io::ErrorKind::NotFound
                    | std::io::ErrorKind::InvalidData
            ) && !error.to_string().contains("certificate")
        }
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

/// The seconds of `Retry-After`. A date is answered by the usual wait.
pub(crate) fn retry_after(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
}

/// Waits, but not past Ctrl-C.
pub(crate) fn pause(time: Duration, interrupt: &AtomicBool) -> Result<(), RegistryError> {
    let end = Instant::now() + time;
    loop {
        if interrupt.load(Ordering::Relaxed) {
            return Err(RegistryError::Interrupted);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<u128> = (0..8).map(|attempt| backoff(attempt).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        assert_eq!(retry_after(Some(" 3 ")), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        let interrupt = AtomicBool::new(true);
        assert!(matches!(pause(Duration::from_secs(60), &interrupt), Err(RegistryError::Interrupted)));
    }
}
