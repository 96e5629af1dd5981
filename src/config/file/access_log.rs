//! The file of the access log.

use crate::config::read::mirror;
use crate::config::text::At;
use crate::config::units::Size;

mirror! {
    /// A file for the access log, in place of standard output. SIGUSR1 has it opened anew, for those who rotate it themselves.
    #[schemars(rename = "AccessLogFile")]
    struct FileAccessLogFile("`access_log_file`") {
        /// The file. Lines are appended; it is made where it is not there, its folder is not.
        #[schemars(extend("examples" = ["/var/log/graylane/access.log"]))]
        [required] path: At<String>,
        /// No file grows beyond this: a full one is put aside as `PATH.1`, and the one before it becomes `PATH.2`. At least
        /// `128KiB`.
        #[schemars(extend("default" = "100MiB"))]
        size: At<Size>,
        /// How many of those are kept.
        #[schemars(extend("default" = 5, "minimum" = 0, "maximum" = 100))]
        keep: At<u32>,
    }
}
