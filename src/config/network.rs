//! Blocks of IP addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::findings::excerpt;

/// A block of IP addresses, such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` lies in the block; an IPv4 address written in IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let bits = u32::from(32u8.saturating_sub(self.prefix));
                (own.to_bits() ^ other.to_bits()).checked_shr(bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let bits = u32::from(128u8.saturating_sub(self.prefix));
                (own.to_bits() ^ other.to_bits()).checked_shr(bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The block's first address.
    fn first(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(own) => {
                let bits = u32::from(32u8.saturating_sub(self.prefix));
                let kept = u32::MAX.checked_shl(bits).unwrap_or(0);
                IpAddr::V4((own.to_bits() & kept).into())
            }
            IpAddr::V6(own) => {
                let bits = u32::from(128u8.saturating_sub(self.prefix));
                let kept = u128::MAX.checked_shl(bits).unwrap_or(0);
                IpAddr::V6((own.to_bits() & kept).into())
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("{} is not a network such as `10.0.0.0/8` or `fd00::/8`", excerpt(text));
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) => digits.parse().map_err(|_| invalid())?,
            None => longest,
        };
        if prefix > longest {
            return Err(invalid());
        }
        let network = Network { address, prefix };
        let first = network.first();
        if first != address {
            return Err(format!("{} has bits set beyond its prefix; the network is `{first}/{prefix}`", excerpt(text)));
        }
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_they_should() {
        let net = |text: &str| text.parse::<Network>().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(net("10.0.0.0/8").contains(ip("10.255.0.1")));
        assert!(!net("10.0.0.0/8").contains(ip("11.0.0.1")));
        assert!(net("10.0.0.0/8").contains(ip("::ffff:10.1.2.3")));
        assert!(net("0.0.0.0/0").contains(ip("203.0.113.9")));
        assert!(!net("0.0.0.0/0").contains(ip("::1")));
        assert!(net("::/0").contains(ip("::1")));
        assert!(net("192.0.2.7").contains(ip("192.0.2.7")));
        assert!(!net("192.0.2.7").contains(ip("192.0.2.8")));
        assert!(net("fd00::/8").contains(ip("fdff::1")));
    }

    #[test]
    fn networks_are_written_exactly() {
        for text in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "x", ""] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let told = "10.1.2.3/8".parse::<Network>().unwrap_err();
        assert!(told.contains("`10.0.0.0/8`"), "{told}");
    }
}
