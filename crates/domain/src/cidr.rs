//! Ranges of IP addresses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses: those that begin with the same bits. It keeps the text that it was given as.
///
/// An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.7`) is the IPv4 address, and a range of such addresses is
/// the range of IPv4 addresses. Beside that the two families have nothing in common: `::/0` holds no IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cidr {
    text: String,
    lowest: IpAddr,
    /// How many bits all of them begin with.
    bits: u8,
}

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCidr {
    /// It is none at all.
    #[error("'{0}' is no range of addresses such as 192.0.2.0/24 or 2001:db8::/32")]
    Malformed(String),
    /// It is an address; the range of that one alone.
    #[error("an address has no mask; write {0} for that address alone")]
    NoMask(String),
    /// It is not told by its lowest address; by which it is.
    #[error("a range is told by its lowest address; write {0}")]
    NotLowest(String),
}

impl Cidr {
    /// How many bytes [`Self::to_bytes`] gives.
    pub const LENGTH: usize = 17;
    /// An IPv4 address among IPv6 ones begins with so many bits that are always the same.
    const MAPPED: u8 = 96;

    /// Whether an address is one of them.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let differing = number(address) ^ number(self.lowest);
        let rest = u32::from(width(address) - self.bits.min(width(address)));
        // A shift by all 128 bits is none; then no bit is compared.
        address.is_ipv4() == self.lowest.is_ipv4() && differing.checked_shr(rest).unwrap_or(0) == 0
    }

    /// The range apart from how it was written: the lowest address as an IPv6 one, and its bits as there. Two texts of one range
    /// have the same.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let (octets, bits) = match self.lowest {
            IpAddr::V4(lowest) => (lowest.to_ipv6_mapped().octets(), self.bits + Self::MAPPED),
            IpAddr::V6(lowest) => (lowest.octets(), self.bits),
        };
        let mut bytes = [bits; Self::LENGTH];
        bytes[..16].copy_from_slice(&octets);
        bytes
    }

    /// The text that it was given as.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address with all but its first bits zero.
fn lowest(address: IpAddr, bits: u8) -> IpAddr {
    let kept = u128::MAX.checked_shl(u32::from(width(address) - bits)).unwrap_or(0);
    match address {
        // What is kept of an IPv4 address are bits of its 32: nothing is cut off.
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() & kept as u32).into()),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & kept)),
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let malformed = || BadCidr::Malformed(text.to_owned());
        let Some((address, bits)) = text.split_once('/') else {
            let address: IpAddr = text.parse().map_err(|_| malformed())?;
            return Err(BadCidr::NoMask(format!("{address}/{}", width(address))));
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let number: u8 = bits.parse().map_err(|_| malformed())?;
        // A sign, or zeros in front.
        if number.to_string() != bits || number > width(address) {
            return Err(malformed());
        }
        let lowest = lowest(address, number);
        if lowest != address {
            return Err(BadCidr::NotLowest(format!("{lowest}/{number}")));
        }
        let canonical = address.to_canonical();
        let (lowest, bits) = match number.checked_sub(Self::MAPPED) {
            Some(bits) if canonical.is_ipv4() && address.is_ipv6() => (canonical, bits),
            _ => (address, number),
        };
        Ok(Self { text: text.to_owned(), lowest, bits })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for Cidr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Cidr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn holds(range: &str, address: &str) -> bool {
        cidr(range).holds(address.parse().unwrap())
    }

    #[test]
    fn a_range_holds_what_begins_with_its_bits() {
        for (range, within, without) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("::/0", "ffff::", "192.0.2.1"),
            ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
            ("::1/128", "::1", "::"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.0.0.0"),
            ("::ffff:10.0.0.0/104", "10.255.255.255", "11.0.0.0"),
            ("::ffff:0.0.0.0/96", "192.0.2.1", "::1"),
            // It begins before the IPv4 addresses, and is one of IPv6 addresses.
            ("::/64", "::1", "192.0.2.1"),
        ] {
            assert!(holds(range, within), "{range} {within}");
            assert!(!holds(range, without), "{range} {without}");
        }
    }

    #[test]
    fn a_text_is_kept_and_two_of_one_range_are_known() {
        assert_eq!(cidr("2001:DB8:0::/32").as_str(), "2001:DB8:0::/32");
        assert_eq!(cidr("2001:DB8:0::/32").to_bytes(), cidr("2001:db8::/32").to_bytes());
        assert_eq!(cidr("::ffff:10.0.0.0/104").to_bytes(), cidr("10.0.0.0/8").to_bytes());
        assert_ne!(cidr("::/0").to_bytes(), cidr("0.0.0.0/0").to_bytes());
        assert_ne!(cidr("10.0.0.0/8").to_bytes(), cidr("10.0.0.0/9").to_bytes());
    }

    #[test]
    fn what_is_no_range_is_told_with_a_way_out() {
        let refused = |text: &str| text.parse::<Cidr>().unwrap_err();
        for text in
            ["", "/", "x", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0/8"]
        {
            assert_eq!(refused(text), BadCidr::Malformed(text.to_owned()), "{text}");
        }
        for text in
            ["10.0.0.0/8/8", "10.0.0.0/-1", " 10.0.0.0/8", "fe80::1%eth0/128", "010.0.0.0/8", "::/256"]
        {
            assert_eq!(refused(text), BadCidr::Malformed(text.to_owned()), "{text}");
        }
        assert_eq!(refused("10.1.2.3"), BadCidr::NoMask("10.1.2.3/32".to_owned()));
        assert_eq!(refused("2001:db8::1"), BadCidr::NoMask("2001:db8::1/128".to_owned()));
        assert_eq!(refused("10.1.2.3/8"), BadCidr::NotLowest("10.0.0.0/8".to_owned()));
        assert_eq!(refused("2001:db8::1/32"), BadCidr::NotLowest("2001:db8::/32".to_owned()));
    }

    /// The first bits of both, one by one.
    fn same_start(a: &[u8], b: &[u8], bits: u8) -> bool {
        let bit = |bytes: &[u8], at: u8| bytes[usize::from(at / 8)] >> (7 - at % 8) & 1;
        (0..bits).all(|at| bit(a, at) == bit(b, at))
    }

    proptest! {
        #[test]
        fn it_is_as_bit_by_bit_in_ipv4(base in any::<u32>(), flipped in 0u8..32, bits in 0u8..=32) {
            let other = base ^ 1 << flipped;
            let low = lowest(IpAddr::V4(base.into()), bits);
            let range = cidr(&format!("{low}/{bits}"));
            for address in [base, other] {
                let expected = same_start(&base.to_be_bytes(), &address.to_be_bytes(), bits);
                let address = std::net::Ipv4Addr::from(address);
                prop_assert_eq!(range.holds(address.into()), expected);
                prop_assert_eq!(range.holds(address.to_ipv6_mapped().into()), expected);
            }
        }

        #[test]
        fn it_is_as_bit_by_bit_in_ipv6(base in any::<u128>(), flipped in 0u8..128, bits in 0u8..=128) {
            // Not one of the IPv4 addresses.
            let (base, other) = (base | 1 << 127, (base ^ 1 << flipped) | 1 << 127);
            let low = lowest(IpAddr::V6(base.into()), bits);
            let range = cidr(&format!("{low}/{bits}"));
            for address in [base, other] {
                let expected = same_start(&base.to_be_bytes(), &address.to_be_bytes(), bits);
                prop_assert_eq!(range.holds(IpAddr::V6(address.into())), expected);
            }
        }
    }
}
