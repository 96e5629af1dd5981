//! Everything a scenario stands on: origins, proxies, certificates, ports and cores. What is started is pinned, in a
//! process group of its own, and ended when it is let go of, Ctrl-C included.
//!
//! [`machine`] reads the kernel's books, [`child`] starts and ends processes, [`configs`] writes what they read,
//! [`programs`] finds them, [`certificate`] is what TLS needs, `origin` is behind them, [`ready`] puts a contestant before
//! its load, [`precedence`] keeps others off it.

pub mod certificate;
pub mod child;
pub mod configs;
pub mod machine;
pub(crate) mod origin;
pub mod precedence;
pub mod programs;
pub mod ready;

pub use precedence::Precedence;
pub use ready::{Running, Stage, Target};

use std::path::PathBuf;

/// Something that the measurement stands on is not there.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A program is not installed.
    #[error("{program} is missing: {remedy}")]
    Missing {
        /// Its name.
        program: String,
        /// What brings it.
        remedy: &'static str,
    },
    /// It was started and does not answer as it should.
    #[error("{name} does not serve ({why}); it said: {said}")]
    Silent {
        /// Whose process.
        name: String,
        /// The last attempt's failure.
        why: String,
        /// The end of its output.
        said: String,
    },
    /// The kernel refused something.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: String,
        /// Its answer.
        source: std::io::Error,
    },
    /// A template has a place that nobody fills.
    #[error("{path} has the place {place}, for which there is no value", path = path.display())]
    Template {
        /// The template.
        path: PathBuf,
        /// The place.
        place: String,
    },
    /// There are too few cores.
    #[error("two cores are needed, one for the proxy and one for the load; there is {cores}")]
    Cores {
        /// How many there are.
        cores: usize,
    },
}

impl StageError {
    /// For `map_err`.
    pub fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
