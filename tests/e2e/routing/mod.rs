//! Who goes where: what the release engineer configures is what real requests meet.

mod buckets;
mod composite;
mod explained;
mod lanes;
mod local;
mod marks;
mod overrides;
mod paths;
mod trust;
