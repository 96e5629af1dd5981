//! Which changes need a confirmation.

use crate::config::read::{mirror, words};
use crate::config::text::At;
use crate::config::units::Share;

mirror! {
    /// Which changes of the running configuration need a confirmation.
    #[schemars(rename = "Guard")]
    struct FileGuard("`guard`") {
        /// The largest share of users that a change may move into gray at once without one.
        #[schemars(extend("default" = "20%"))]
        r#move: At<Share>,
        /// Whether changes of files are guarded.
        #[schemars(extend("default" = "off"))]
        files: At<OnOff>,
        /// Whether changes from shared sources are guarded.
        #[schemars(extend("default" = "on"))]
        sources: At<OnOff>,
    }
}

words! {
    /// Whether something is on.
    pub(in crate::config) enum OnOff("`on` or `off`") {
        /// It is.
        On = "on",
        /// It is not.
        Off = "off",
    }
}
