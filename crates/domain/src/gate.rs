//! Who gets in: the restrictions of type `api`, as they are asked for each request.

use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::ids::IpRestrictionId;
use crate::ip_policy::{IpPolicyRule, IpRestriction, RestrictionType, RuleAction};

/// All restrictions of the API with their rules, as they are at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate {
    restrictions: Vec<Bar>,
}

/// One restriction with the rules of its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bar {
    id: IpRestrictionId,
    enforced: bool,
    allowed: Vec<Cidr>,
    denied: Vec<Cidr>,
}

/// What becomes of somebody who comes from an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They get in.
    In,
    /// They get in, and a restriction would keep them out if it were enforced.
    Warned(IpRestrictionId),
    /// A restriction keeps them out.
    Out(IpRestrictionId),
}

impl Gate {
    /// The gate that restrictions make, with all rules of the account.
    #[must_use]
    pub fn new(restrictions: &[IpRestriction], rules: &[IpPolicyRule]) -> Self {
        let restrictions = restrictions.iter().filter(|restriction| restriction.kind == RestrictionType::Api);
        Self { restrictions: restrictions.map(|restriction| Bar::new(restriction, rules)).collect() }
    }

    /// What becomes of an address. Every enforced restriction must let it in.
    #[must_use]
    pub fn judge(&self, address: IpAddr) -> Verdict {
        let mut refusing = self.restrictions.iter().filter(|restriction| !restriction.lets_in(address));
        let mut warned = None;
        let out = refusing.find(|restriction| {
            warned = warned.or(Some(restriction.id));
            restriction.enforced
        });
        match (out, warned) {
            (Some(restriction), _) => Verdict::Out(restriction.id),
            (None, Some(restriction)) => Verdict::Warned(restriction),
            (None, None) => Verdict::In,
        }
    }
}

impl Bar {
    fn new(restriction: &IpRestriction, rules: &[IpPolicyRule]) -> Self {
        let of = |action| {
            let own = rules
                .iter()
                .filter(move |rule| rule.action == action && restriction.policies.contains(&rule.policy));
            own.map(|rule| rule.cidr.clone()).collect()
        };
        Self {
            id: restriction.id,
            enforced: restriction.enforced,
            allowed: of(RuleAction::Allow),
            denied: of(RuleAction::Deny),
        }
    }

    /// Some rule of its policies allows the address, and none denies it.
    fn lets_in(&self, address: IpAddr) -> bool {
        let any = |ranges: &[Cidr]| ranges.iter().any(|range| range.holds(address));
        any(&self.allowed) && !any(&self.denied)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::{IpPolicyId, IpPolicyRuleId, Ksuid};
    use jiff::Timestamp;

    fn ksuid(number: u128) -> Ksuid {
        Ksuid::from_parts(Timestamp::UNIX_EPOCH, number)
    }

    fn rule(policy: u128, action: RuleAction, cidr: &str) -> IpPolicyRule {
        IpPolicyRule {
            id: IpPolicyRuleId::new(Ksuid::MIN),
            policy: IpPolicyId::new(ksuid(policy)),
            cidr: cidr.parse().unwrap(),
            action,
            description: String::new(),
            metadata: String::new(),
            created_at: Timestamp::UNIX_EPOCH,
            revision: 1,
        }
    }

    fn restriction(id: u128, kind: RestrictionType, enforced: bool, policies: &[u128]) -> IpRestriction {
        IpRestriction {
            id: IpRestrictionId::new(ksuid(id)),
            kind,
            enforced,
            policies: policies.iter().map(|policy| IpPolicyId::new(ksuid(*policy))).collect(),
            description: String::new(),
            metadata: String::new(),
            created_at: Timestamp::UNIX_EPOCH,
            revision: 1,
        }
    }

    fn judge(gate: &Gate, address: &str) -> Verdict {
        gate.judge(address.parse().unwrap())
    }

    const API: RestrictionType = RestrictionType::Api;

    #[test]
    fn an_address_is_let_in_that_a_rule_allows_and_none_denies() {
        use RuleAction::{Allow, Deny};
        let rules = [
            rule(1, Allow, "192.0.2.0/24"),
            rule(1, Deny, "192.0.2.128/25"),
            rule(2, Allow, "192.0.2.200/32"),
            rule(2, Allow, "2001:db8::/32"),
            rule(3, Allow, "0.0.0.0/0"),
        ];
        let gate = Gate::new(&[restriction(9, API, true, &[1, 2])], &rules);
        let out = Verdict::Out(IpRestrictionId::new(ksuid(9)));
        for (address, expected) in [
            ("192.0.2.1", Verdict::In),
            ("::ffff:192.0.2.1", Verdict::In),
            ("2001:db8::1", Verdict::In),
            ("192.0.2.128", out),
            // Another policy allows what this one denies.
            ("192.0.2.200", out),
            // A policy that the restriction does not name allows it.
            ("198.51.100.1", out),
            ("::1", out),
        ] {
            assert_eq!(judge(&gate, address), expected, "{address}");
        }
    }

    #[test]
    fn what_has_no_rule_lets_nobody_in() {
        let gate = Gate::new(&[restriction(9, API, true, &[1])], &[]);
        assert_eq!(judge(&gate, "192.0.2.1"), Verdict::Out(IpRestrictionId::new(ksuid(9))));
    }

    #[test]
    fn only_the_api_counts_and_only_what_is_enforced_keeps_out() {
        let of = |kind, enforced| restriction(9, kind, enforced, &[1]);
        let judged = |restrictions: &[IpRestriction]| judge(&Gate::new(restrictions, &[]), "192.0.2.1");
        for kind in RestrictionType::ALL.into_iter().filter(|kind| *kind != API) {
            assert_eq!(judged(&[of(kind, true)]), Verdict::In, "{kind:?}");
        }
        assert_eq!(judged(&[]), Verdict::In);
        assert_eq!(judged(&[of(API, false)]), Verdict::Warned(IpRestrictionId::new(ksuid(9))));
    }

    #[test]
    fn every_enforced_restriction_has_to_let_one_in() {
        let rules = [rule(1, RuleAction::Allow, "192.0.2.0/24"), rule(2, RuleAction::Allow, "192.0.2.0/25")];
        let (wide, narrow) = (restriction(8, API, true, &[1]), restriction(9, API, true, &[2]));
        let gate = Gate::new(&[wide.clone(), narrow.clone()], &rules);
        assert_eq!(judge(&gate, "192.0.2.1"), Verdict::In);
        assert_eq!(judge(&gate, "192.0.2.128"), Verdict::Out(narrow.id));
        // One that only warns hides none that keeps out.
        let gate = Gate::new(&[IpRestriction { enforced: false, ..wide.clone() }, narrow.clone()], &rules);
        assert_eq!(judge(&gate, "198.51.100.1"), Verdict::Out(narrow.id));
        assert_eq!(judge(&gate, "192.0.2.128"), Verdict::Out(narrow.id));
        let gate = Gate::new(&[wide.clone(), IpRestriction { enforced: false, ..narrow.clone() }], &rules);
        assert_eq!(judge(&gate, "192.0.2.128"), Verdict::Warned(narrow.id));
    }
}
