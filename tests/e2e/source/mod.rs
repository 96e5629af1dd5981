//! Configuration from shared stores, against the real servers: what is written is seen, by push and by poll; a server that
//! is killed, restarted, cut off or full of garbage costs nothing that was taken before.

mod apollo;
mod centre;
mod centre_faults;
mod etcd;
mod etcd_faults;
mod nacos;
mod redis;
mod redis_faults;
pub(crate) mod stage;
