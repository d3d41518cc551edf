//! Where a request comes from. The other end of the connection, unless that is a proxy of ours:
//! then what it says. Anybody can write `X-Forwarded-For`; what stands to the right of the first
//! address that is no proxy of ours was written by proxies of ours, and counts.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Addresses that are looked at; no chain of proxies is longer.
const HOPS_MAX: usize = 16;

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Proxies whose word counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

/// Why a text names no proxies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address or network such as 10.0.0.0/8, 192.0.2.7 or fd00::/8")]
pub struct BadProxies(String);

impl FromStr for Proxies {
    type Err = BadProxies;

    fn from_str(text: &str) -> Result<Self, BadProxies> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let networks = parts.map(|part| {
            let network = part.parse::<IpNet>();
            network
                .or_else(|_| part.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| BadProxies(part.to_owned()))
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

impl Proxies {
    /// Whether this is one of them.
    pub(crate) fn hold(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The client's address.
pub(crate) fn of_client(peer: Option<Peer>, headers: &HeaderMap, proxies: &Proxies) -> IpAddr {
    let Some(Peer(peer)) = peer else {
        return IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    };
    let mut client = peer.to_canonical();
    if !proxies.hold(client) {
        return client;
    }
    let values = headers.get_all(FORWARDED_FOR).iter().rev();
    let hops = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        // What cannot be read was not written by a proxy of ours, nor was anything before it.
        let Some(address) = read(hop.trim()) else {
            break;
        };
        client = address;
        if !proxies.hold(client) {
            break;
        }
    }
    client
}

/// Whether a proxy of ours says that the client speaks TLS with it.
pub(crate) fn is_secure(peer: Option<Peer>, headers: &HeaderMap, proxies: &Proxies) -> bool {
    let is_ours = peer.is_some_and(|Peer(peer)| proxies.hold(peer.to_canonical()));
    let last = headers.get_all(FORWARDED_PROTO).iter().next_back();
    let last = last.and_then(|value| value.to_str().ok());
    let last = last.and_then(|value| value.rsplit(',').next());
    is_ours && last.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
}

/// An address as proxies write it: alone, or with a port.
fn read(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    let address = address.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    address.map(|address: IpAddr| address.to_canonical())
}

/// What counts as one caller: an address, or the network of 64 bits that one customer of a provider
/// is given, in which addresses can be made up.
pub(crate) fn counted_as(address: IpAddr) -> u128 {
    /// The upper 64 bits.
    const NETWORK: u128 = !0 << 64;
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() & NETWORK,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let proxies: Proxies = "10.0.0.0/8, 127.0.0.1,fd00::/8".parse().unwrap();
        let headers = forwarded
            .iter()
            .map(|value| (FORWARDED_FOR, HeaderValue::from_str(value).unwrap()))
            .collect();
        of_client(Some(Peer(peer.parse().unwrap())), &headers, &proxies).to_string()
    }

    #[test]
    fn whoever_is_no_proxy_of_ours_is_the_client_whatever_it_says() {
        assert_eq!(client("192.0.2.1", &[]), "192.0.2.1");
        assert_eq!(client("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("::ffff:192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy_of_ours() {
        for (forwarded, address) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
            (&["6.6.6.6, 203.0.113.9, 10.1.1.1"], "203.0.113.9"),
            (&["6.6.6.6", "203.0.113.9, 10.1.1.1"], "203.0.113.9"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["10.2.2.2"], "10.2.2.2"),
            (&["6.6.6.6, unknown"], "10.0.0.1"),
            (&["6.6.6.6, unknown, 10.3.3.3"], "10.3.3.3"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", forwarded), address, "{forwarded:?}");
        }
    }

    #[test]
    fn tls_is_what_a_proxy_of_ours_says() {
        let proxies: Proxies = "10.0.0.0/8".parse().unwrap();
        let said = |peer: &str, value: &'static str| {
            let headers =
                HeaderMap::from_iter([(FORWARDED_PROTO, HeaderValue::from_static(value))]);
            is_secure(Some(Peer(peer.parse().unwrap())), &headers, &proxies)
        };
        assert!(said("10.0.0.1", "https"));
        assert!(said("10.0.0.1", "http, HTTPS"));
        assert!(!said("10.0.0.1", "https, http"));
        assert!(!said("192.0.2.1", "https"));
    }

    #[test]
    fn addresses_of_one_network_are_one_caller_and_no_two_kinds_are_mistaken() {
        let key = |text: &str| counted_as(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn what_is_no_network_is_told_so() {
        assert_eq!("".parse::<Proxies>().unwrap(), Proxies::default());
        for bad in ["10.0.0.0/33", "localhost", "10.0.0", "*"] {
            assert_eq!(bad.parse::<Proxies>(), Err(BadProxies(bad.to_owned())));
        }
    }
}
