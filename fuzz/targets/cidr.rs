//! Ranges of addresses: whatever the text, an answer; a range keeps its text, and holds the address that it is told by, in either
//! spelling.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use strongroom_domain::cidr::{BadCidr, Cidr};

fuzz_target!(|text: &str| match text.parse::<Cidr>() {
    Ok(range) => {
        assert_eq!(range.as_str(), text);
        let (lowest, bits) = text.split_once('/').expect("a mask");
        let lowest: IpAddr = lowest.parse().expect("an address");
        assert!(range.holds(lowest) && range.holds(lowest.to_canonical()));
        let again: Cidr = format!("{lowest}/{bits}").parse().expect("the same range");
        assert_eq!(again.to_bytes(), range.to_bytes());
    }
    Err(BadCidr::Malformed(told)) => assert_eq!(told, text),
    // What is suggested is taken.
    Err(BadCidr::NoMask(suggestion) | BadCidr::NotLowest(suggestion)) => {
        assert!(suggestion.parse::<Cidr>().is_ok(), "{suggestion}");
    }
});
