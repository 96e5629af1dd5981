//! Whether the ports that were asked for are free, seen before anything is started.
//!
//! The sidecar's own listeners share their port with each other (`SO_REUSEPORT`), and would share it with those of
//! another sidecar of the same user without a word: visitors would then meet either. A plain listener notices both.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::bail;

/// An error names each port that cannot be had and the option that changes it. Port 0 is always free.
pub(super) fn check(traffic: u16, admin: u16) -> anyhow::Result<()> {
    if traffic == admin && traffic != 0 {
        bail!("--port and --admin-port are both {traffic}: give them different ports, or 0 for any free one");
    }
    let asked = [(traffic, "traffic", "--port"), (admin, "admin", "--admin-port")];
    let problems: Vec<_> =
        asked.into_iter().filter_map(|(port, purpose, option)| problem(port, purpose, option)).collect();
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

fn problem(port: u16, purpose: &str, option: &str) -> Option<String> {
    let error = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()?;
    let reason = match error.kind() {
        ErrorKind::AddrInUse => "is in use".to_owned(),
        ErrorKind::PermissionDenied => "is not allowed to this user".to_owned(),
        _ => format!("cannot be had ({error})"),
    };
    Some(format!("port {port} for {purpose} {reason}: choose another one with {option} PORT (0 takes any free one)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_taken_are_named_with_the_option_that_changes_them() {
        let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (one, other) = (one.local_addr().unwrap().port(), other.local_addr().unwrap().port());
        let error = check(0, one).unwrap_err().to_string();
        assert!(error.contains(&format!("port {one} for admin is in use")), "{error}");
        assert!(error.contains("--admin-port PORT") && !error.contains("--port PORT"), "{error}");
        let error = check(one, other).unwrap_err().to_string();
        assert!(error.contains(&format!("port {one} for traffic is in use")), "{error}");
        assert!(error.contains(&format!("port {other} for admin is in use")), "{error}");
        assert!(error.contains("--port PORT"), "{error}");
    }

    #[test]
    fn free_ports_pass_and_equal_ones_do_not() {
        check(0, 0).unwrap();
        let error = check(15080, 15080).unwrap_err().to_string();
        assert!(error.contains("both 15080"), "{error}");
    }
}
