//! A gray release: how far it is open, and for whom.

use std::borrow::Cow;

use super::bucket::{Bucket, Permille, bucket};
use super::condition::Condition;
use super::experiment::Ab;
use super::fact::{FactId, Facts};
use super::lane::{LaneId, Lanes};
use super::region::Regions;
use super::token::{Claims, OverrideError, TokenKey};
use super::word::Level;

/// The place of a release in a [`Program`](super::Program).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseId(u16);

impl ReleaseId {
    /// The release at this place, unless there cannot be so many.
    pub fn from_index(index: usize) -> Option<ReleaseId> {
        u16::try_from(index).ok().map(ReleaseId)
    }

    /// The place as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which fact is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HashKey {
    /// The user, else the device.
    #[default]
    UserThenDevice,
    /// The device alone, so that a login changes no version.
    Device,
}

impl HashKey {
    /// The fact that is hashed for this request and its value; nothing where the request names neither.
    pub(super) fn of<'f, F: Facts>(self, facts: &'f F) -> Option<(FactId, Cow<'f, str>)> {
        let read = |fact| facts.get(fact).filter(|value| !value.is_empty()).map(|value| (fact, value));
        match self {
            HashKey::UserThenDevice => read(FactId::USER_ID).or_else(|| read(FactId::DEVICE_ID)),
            HashKey::Device => read(FactId::DEVICE_ID),
        }
    }
}

/// How developers override a release for their own requests.
#[derive(Debug, Clone, Default)]
pub struct Developer {
    /// The header that carries the override; a program keeps it in lower case.
    pub header: Option<String>,
    /// The cookie that carries it.
    pub cookie: Option<String>,
    /// The service whose requests these are; tokens for another one do not count.
    pub service: String,
    /// Keys that sign overrides; several while one is rotated.
    pub keys: Vec<TokenKey>,
    /// Whether the bare name of a lane counts too: in the environment `dev` alone.
    pub unsigned: bool,
}

/// An override that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The lane it chooses; none where it only asks for explanations.
    pub(super) lane: Option<LaneId>,
    pub(super) subject: Option<String>,
    pub(super) expires_unix: Option<u64>,
}

impl Developer {
    pub(super) fn judge(
        &self,
        text: &str,
        release: &str,
        lanes: &Lanes,
        now_unix: u64,
    ) -> Result<Accepted, OverrideError> {
        let text = text.trim();
        if let Some(lane) = lanes.id(text) {
            return match self.unsigned {
                true => Ok(Accepted { lane: Some(lane), subject: None, expires_unix: None }),
                false => Err(OverrideError::Unsigned),
            };
        }
        let claims = Claims::verify(text, &self.keys, &self.service, release, now_unix)?;
        let lane = match &*claims.lane {
            "" if claims.explain => None,
            lane => Some(lanes.id(lane).ok_or(OverrideError::UnknownLane)?),
        };
        Ok(Accepted { lane, subject: Some(claims.subject.into_owned()), expires_unix: Some(claims.expires_unix) })
    }
}

impl Developer {
    /// Whether this override was signed for somebody who is to see how lanes are decided. An unsigned one never was, not
    /// even where unsigned ones choose lanes.
    pub fn lets_explain(&self, text: &str, release: &str, now_unix: u64) -> bool {
        Claims::verify(text.trim(), &self.keys, &self.service, release, now_unix).is_ok_and(|claims| claims.explain)
    }
}

/// What stands for the key of a request in a log, beside its bucket under the release's salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedKey<'r> {
    /// The fact that was hashed.
    pub fact: FactId,
    /// The bucket in the release's experiment, and the experiment's salt.
    pub experiment: Option<(Bucket, &'r str)>,
}

/// One gray release.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// The salt of its buckets; the name unless set.
    pub salt: String,
    /// Which fact is hashed.
    pub hash_key: HashKey,
    /// How far it is open.
    pub level: Level,
    /// The share of users, for level `permille`.
    pub permille: Permille,
    /// Overrides, where they are allowed.
    pub developer: Option<Box<Developer>>,
    /// Groups of an experiment, for level `ab`.
    pub ab: Option<Ab>,
    /// The whitelist, for level `region`.
    pub regions: Regions,
    /// What has to hold of a request, at every level but the override.
    pub conditions: Vec<Condition>,
}

impl Release {
    /// A closed release of this name, salted with it, without conditions.
    pub fn closed(name: impl Into<String>) -> Release {
        let name = name.into();
        Release {
            salt: name.clone(),
            name,
            hash_key: HashKey::default(),
            level: Level::None,
            permille: Permille::ZERO,
            developer: None,
            ab: None,
            regions: Regions::default(),
            conditions: Vec::new(),
        }
    }

    /// How far the release is open in effect: the level `permille` at 1000 is `full`.
    pub fn open_level(&self) -> Level {
        match self.level {
            Level::Permille if self.permille == Permille::ALL => Level::Full,
            level => level,
        }
    }

    /// The share of users that it is open for in effect: all of them at `full`, none below `permille`.
    pub fn open_permille(&self) -> Permille {
        match self.open_level() {
            Level::Full => Permille::ALL,
            Level::Permille => self.permille,
            _ => Permille::ZERO,
        }
    }

    /// What a log has to keep of the key, so that the decision can be made again without it.
    pub fn logged_key<F: Facts>(&self, facts: &F) -> Option<LoggedKey<'_>> {
        let (fact, key) = self.hash_key.of(facts)?;
        let experiment = self.ab.as_ref().map(Ab::experiment);
        Some(LoggedKey { fact, experiment: experiment.map(|known| (known.bucket(&key), known.salt())) })
    }

    /// The bucket of a user under this release's salt.
    pub fn bucket(&self, key: &str) -> Bucket {
        bucket(&self.salt, key)
    }
}
