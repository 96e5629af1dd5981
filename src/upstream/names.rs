//! Names to addresses, and how long these may be believed.
//!
//! The system's resolver does not tell a record's time to live, so names are asked of the name servers that
//! `/etc/resolv.conf` lists, with its search domains and with `/etc/hosts`; where there is no such file, the system is
//! asked. A resolver is made for each look-up: it costs far less than the question, it sees a changed file, and nothing is
//! cached twice.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverOpts};

/// The longest a look-up may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest time that an answer is believed, whatever it says of itself: many records that live for hours are changed
/// all the same.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// The shortest time, so that records with no life of their own do not make us ask without end.
pub(super) const SHORTEST: Duration = Duration::from_secs(1);
/// How long an answer of the system's resolver is believed, which does not say.
const OF_SYSTEM: Duration = Duration::from_secs(5);

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// All addresses, of both families.
    pub(super) addresses: Vec<SocketAddr>,
    /// How long they may be believed.
    pub(super) lives: Duration,
}

/// All addresses of a host.
pub(super) async fn look_up(host: &str, port: u16) -> std::io::Result<Answer> {
    let asking = async {
        match resolver() {
            Some(resolver) => by_dns(&resolver, host, port).await,
            None => by_system(host, port).await,
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.map_err(std::io::Error::from)?
}

fn resolver() -> Option<TokioResolver> {
    let mut builder = TokioResolver::builder_tokio().ok()?;
    set(builder.options_mut());
    builder.build().ok()
}

fn set(options: &mut ResolverOpts) {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.cache_size = 0;
}

async fn by_dns(resolver: &TokioResolver, host: &str, port: u16) -> std::io::Result<Answer> {
    let found = resolver.lookup_ip(host).await.map_err(std::io::Error::other)?;
    let lives = found.valid_until().saturating_duration_since(Instant::now()).clamp(SHORTEST, LONGEST);
    let addresses = found.iter().map(|address: IpAddr| SocketAddr::new(address, port)).collect();
    Ok(Answer { addresses, lives })
}

async fn by_system(host: &str, port: u16) -> std::io::Result<Answer> {
    let addresses = tokio::net::lookup_host((host, port)).await?.collect();
    Ok(Answer { addresses, lives: OF_SYSTEM })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use tokio::net::UdpSocket;

    /// Answers every question for addresses: two for A and one for AAAA, each with this time to live in seconds.
    async fn name_server(ttl: u32) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut read = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut read).await {
                let question = &read[12..length];
                let end = question.iter().position(|byte| *byte == 0).unwrap() + 5;
                let is_v6 = question[end - 3] == 28;
                let datas: Vec<Vec<u8>> = match is_v6 {
                    true => vec![[[0xfd].as_slice(), &[0; 14], &[1]].concat()],
                    false => vec![vec![10, 0, 0, 1], vec![10, 0, 0, 2]],
                };
                let mut answer = read[..2].to_vec();
                answer.extend([0x81, 0x80, 0, 1, 0, u8::try_from(datas.len()).unwrap(), 0, 0, 0, 0]);
                answer.extend(&question[..end]);
                for data in datas {
                    answer.extend([0xc0, 12, 0, question[end - 3], 0, 1]);
                    answer.extend(ttl.to_be_bytes());
                    answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
                    answer.extend(data);
                }
                let _ = socket.send_to(&answer, from).await;
            }
        });
        address
    }

    async fn asked(server: SocketAddr) -> Answer {
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        set(builder.options_mut());
        by_dns(&builder.build().unwrap(), "goods.shop.svc.cluster.local.", 80).await.unwrap()
    }

    #[tokio::test]
    async fn all_addresses_of_both_families_live_as_long_as_their_records() {
        let mut answer = asked(name_server(7).await).await;
        answer.addresses.sort();
        let addresses: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"]);
        assert!(answer.lives > Duration::from_secs(5) && answer.lives <= Duration::from_secs(7), "{answer:?}");
    }

    #[tokio::test]
    async fn a_life_of_no_time_and_one_without_end_are_bounded() {
        assert_eq!(asked(name_server(0).await).await.lives, SHORTEST);
        assert_eq!(asked(name_server(86_400).await).await.lives, LONGEST);
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_an_error() {
        assert!(look_up("no-such-name.invalid", 80).await.is_err());
    }
}
