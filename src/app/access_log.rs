//! The access log as the configuration wants it.

use std::sync::Arc;

use tokio::signal::unix::Signal;

use crate::config::{self, Settings};
use crate::telemetry::access::{AccessLog, Sampling, Sink};

/// Where it goes.
pub(super) fn sink(settings: &Settings) -> Sink {
    settings.access_log_file.clone().map_or(Sink::Stdout, Sink::File)
}

/// Which requests it holds.
pub(super) fn sampling(settings: &Settings) -> Sampling {
    match settings.access_log {
        config::AccessLog::Off => Sampling::Off,
        config::AccessLog::All => Sampling::All,
        config::AccessLog::Share(share) => Sampling::Share(share),
    }
}

/// Goes from one configuration to the next.
pub(super) fn follow(log: &AccessLog, old: &Settings, new: &Settings) {
    if old.access_log_file != new.access_log_file {
        log.turn_to(sink(new));
    }
    log.sample(sampling(new));
}

/// Has its file opened anew at every signal.
pub(super) async fn reopen(log: Arc<AccessLog>, mut asked: Signal) {
    while asked.recv().await.is_some() {
        tracing::info!("SIGUSR1: the file of the access log is opened anew");
        log.reopen();
    }
}
