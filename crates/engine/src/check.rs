//! Options that no container can be made with: told before anything is made.

use image::Image;

use crate::{EngineError, RunOptions, bundle, capabilities, users};

impl RunOptions {
    /// Whether the options can be used as they are written, as far as that shows without a host and an image.
    ///
    /// # Errors
    /// `Option` names the first that cannot.
    pub fn check(&self) -> Result<(), EngineError> {
        let tmpfs = || self.tmpfs.iter().try_for_each(|tmpfs| bundle::check_tmpfs(tmpfs));
        capabilities::check(&self.cap_drop, &self.cap_add)
            .and_then(|()| tmpfs())
            .map_err(|failure| failure.into_error(""))
    }

    /// Whether an image knows the user, if one is asked for.
    ///
    /// # Errors
    /// `UnknownUser`.
    pub fn check_user(&self, image: &Image) -> Result<(), EngineError> {
        let check = self.user.as_deref().map(|user| users::check_in(image, user));
        check.unwrap_or(Ok(())).map_err(|failure| failure.into_error(""))
    }
}

#[cfg(test)]
mod tests {
    use image::OpenOptions;

    use super::*;

    #[test]
    fn options_that_cannot_be_used_are_told_by_name() {
        let with = |cap_add: &str, tmpfs: &str| {
            let options = RunOptions {
                cap_add: vec![cap_add.to_owned()],
                tmpfs: vec![tmpfs.to_owned()],
                ..RunOptions::default()
            };
            options.check().map_err(|error| error.to_string())
        };
        for tmpfs in ["/t", "/t:", "/t:size=64m,mode=1777", "/t:size=50%,exec,uid=5,nr_inodes=1K,huge=never"]
        {
            assert_eq!(with("net_admin", tmpfs), Ok(()), "{tmpfs}");
        }
        assert_eq!(with("all", "/t"), Ok(()));
        for (cap_add, tmpfs, word) in [
            ("FLY", "/t", "cap_add \"FLY\" is not a capability"),
            ("KILL", "t", "not an absolute path"),
            ("KILL", "/", "not an absolute path"),
            ("KILL", "/t:size=banana", "size=banana"),
            ("KILL", "/t:size=", "size="),
            ("KILL", "/t:mode=9", "mode=9"),
            ("KILL", "/t:mode=77777", "mode=77777"),
            ("KILL", "/t:uid=root", "uid=root"),
            ("KILL", "/t:nr_inodes=5%", "nr_inodes=5%"),
            ("KILL", "/t:fast", "fast"),
            ("KILL", "/t:lowerdir=/", "lowerdir=/"),
        ] {
            let told = with(cap_add, tmpfs).unwrap_err();
            assert!(told.contains(word), "{told}");
        }
        let drop = RunOptions { cap_drop: vec!["SWIM".to_owned()], ..RunOptions::default() };
        assert!(drop.check().unwrap_err().to_string().starts_with("cap_drop \"SWIM\""));
    }

    #[test]
    fn users_are_looked_up_in_the_image_as_the_container_would() {
        let layouts = [
            testkit::image(&["etc/passwd:app:x:1000:1000::/:/bin/sh etc/group:app:x:1000:"]),
            testkit::image(&["usr/passwd:app:x:1000:1000::/:/bin/sh etc/passwd->/usr/passwd"]),
        ];
        for layout in &layouts {
            let image = Image::open(&layout.source().parse().unwrap(), &OpenOptions::new()).unwrap();
            let with = |user: Option<&str>| {
                RunOptions { user: user.map(str::to_owned), ..RunOptions::default() }.check_user(&image)
            };
            for user in [None, Some("app"), Some("77"), Some("77:88"), Some("app:5"), Some("")] {
                assert!(with(user).is_ok(), "{user:?}");
            }
            for user in ["nobody", "app:nogroup", "-1", "4294967296"] {
                assert!(matches!(with(Some(user)), Err(EngineError::UnknownUser { .. })), "{user}");
            }
        }
    }
}
