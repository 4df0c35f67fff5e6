//! IP policies, their rules, restrictions, and the gate that they make.

use std::net::IpAddr;

use strongroom_domain::audit::Action;
use strongroom_domain::error::{Conflict, Error, Noun, Rule};
use strongroom_domain::gate::Verdict;
use strongroom_domain::ids::{IpPolicyId, IpPolicyRuleId, IpRestrictionId};
use strongroom_domain::ip_policy::{IpPolicy, IpPolicyRule, IpRestriction, RestrictionType, RuleAction};
use strongroom_domain::store::Store;

use super::house::{House, page};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    policies_come_and_go,
    rules_come_and_go,
    restrictions_come_and_go,
    there_are_no_more_than_so_many,
    a_change_of_what_has_changed_is_stale,
    a_policy_that_is_named_stays,
    the_gate_is_never_older_than_a_change,
    a_change_that_keeps_out_who_must_stay_is_none,
];

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn policy(house: &House<'_>) -> IpPolicy {
    let stamp = house.stamp();
    IpPolicy {
        id: IpPolicyId::new(stamp.ksuid),
        description: "a description".to_owned(),
        metadata: "some metadata".to_owned(),
        created_at: stamp.at,
        revision: 1,
    }
}

fn rule(house: &House<'_>, policy: IpPolicyId, action: RuleAction, cidr: &str) -> IpPolicyRule {
    let stamp = house.stamp();
    IpPolicyRule {
        id: IpPolicyRuleId::new(stamp.ksuid),
        policy,
        cidr: cidr.parse().unwrap(),
        action,
        description: "a description".to_owned(),
        metadata: "some metadata".to_owned(),
        created_at: stamp.at,
        revision: 1,
    }
}

fn restriction(house: &House<'_>, enforced: bool, policies: &[IpPolicyId]) -> IpRestriction {
    let stamp = house.stamp();
    IpRestriction {
        id: IpRestrictionId::new(stamp.ksuid),
        kind: RestrictionType::Api,
        enforced,
        policies: policies.to_vec(),
        description: "a description".to_owned(),
        metadata: "some metadata".to_owned(),
        created_at: stamp.at,
        revision: 1,
    }
}

pub(crate) async fn add_policy(house: &House<'_>) -> IpPolicy {
    let policy = policy(house);
    let event = house.event(&policy, Action::Created);
    house.store.ip_policy_insert(house.account, policy.clone(), event.into()).await.unwrap();
    policy
}

async fn insert_rule(house: &House<'_>, rule: &IpPolicyRule, stay: Option<IpAddr>) -> Result<(), Error> {
    let event = house.event(rule, Action::Created);
    house.store.ip_rule_insert(house.account, rule.clone(), stay, event.into()).await
}

pub(crate) async fn add_rule(
    house: &House<'_>,
    policy: IpPolicyId,
    action: RuleAction,
    cidr: &str,
) -> IpPolicyRule {
    let rule = rule(house, policy, action, cidr);
    insert_rule(house, &rule, None).await.unwrap();
    rule
}

async fn update_rule(house: &House<'_>, rule: &IpPolicyRule, stay: Option<IpAddr>) -> Result<(), Error> {
    let event = house.event(rule, Action::Updated);
    house.store.ip_rule_update(house.account, rule.clone(), stay, event).await
}

async fn delete_rule(house: &House<'_>, rule: &IpPolicyRule, stay: Option<IpAddr>) -> Result<(), Error> {
    let event = house.event(rule, Action::Deleted);
    house.store.ip_rule_delete(house.account, rule.id, rule.revision, stay, event).await
}

async fn insert(house: &House<'_>, it: &IpRestriction, stay: Option<IpAddr>) -> Result<(), Error> {
    let event = house.event(it, Action::Created);
    house.store.ip_restriction_insert(house.account, it.clone(), stay, event.into()).await
}

pub(crate) async fn add(house: &House<'_>, enforced: bool, policies: &[IpPolicyId]) -> IpRestriction {
    let restriction = restriction(house, enforced, policies);
    insert(house, &restriction, None).await.unwrap();
    restriction
}

async fn update(house: &House<'_>, it: &IpRestriction, stay: Option<IpAddr>) -> Result<(), Error> {
    let event = house.event(it, Action::Updated);
    house.store.ip_restriction_update(house.account, it.clone(), stay, event).await
}

async fn delete(house: &House<'_>, it: &IpRestriction, stay: Option<IpAddr>) -> Result<(), Error> {
    let event = house.event(it, Action::Deleted);
    house.store.ip_restriction_delete(house.account, it.id, it.revision, stay, event).await
}

async fn delete_policy(house: &House<'_>, policy: &IpPolicy, rules: &[IpPolicyRuleId]) -> Result<(), Error> {
    let event = house.event(policy, Action::Deleted);
    let store = house.store;
    store.ip_policy_delete(house.account, policy.id, policy.revision, rules.to_vec(), vec![event]).await
}

async fn judge(house: &House<'_>, address: IpAddr) -> Verdict {
    house.store.ip_gate(house.account).await.unwrap().judge(address)
}

async fn head(house: &House<'_>) -> u64 {
    house.store.audit_head().await.unwrap().sequence
}

async fn policies_come_and_go(store: &dyn Store) {
    let house = House::build(store).await;
    let account = house.account;
    let (mut first, second) = (add_policy(&house).await, add_policy(&house).await);
    assert_eq!(store.ip_policy_find(account, first.id).await.unwrap(), Some(first.clone()));
    let listed = store.ip_policy_list(account, page(None, 1)).await.unwrap();
    assert_eq!((&listed.items[..], listed.more), (&[second.clone()][..], true));
    let rest = store.ip_policy_list(account, page(Some(second.id.ksuid()), 1)).await.unwrap();
    assert_eq!((&rest.items[..], rest.more), (&[first.clone()][..], false));
    (first.description, first.metadata, first.revision) = (String::new(), "other".to_owned(), 2);
    let event = house.event(&first, Action::Updated);
    store.ip_policy_update(account, first.clone(), event).await.unwrap();
    assert_eq!(store.ip_policy_find(account, first.id).await.unwrap(), Some(first.clone()));
    delete_policy(&house, &first, &[]).await.unwrap();
    assert_eq!(store.ip_policy_find(account, first.id).await.unwrap(), None);
}

async fn rules_come_and_go(store: &dyn Store) {
    let house = House::build(store).await;
    let account = house.account;
    let (policy, other) = (add_policy(&house).await, add_policy(&house).await);
    let mut first = add_rule(&house, policy.id, RuleAction::Allow, "2001:DB8::/32").await;
    assert_eq!(store.ip_rule_find(account, first.id).await.unwrap(), Some(first.clone()));
    // The same range in another spelling, whatever it does with it; another policy may have it too.
    let same = rule(&house, policy.id, RuleAction::Deny, "2001:db8:0::/32");
    let taken = insert_rule(&house, &same, None).await;
    assert!(matches!(taken, Err(Error::NotUnique(Noun::IpPolicyRule))), "{taken:?}");
    let elsewhere = add_rule(&house, other.id, RuleAction::Deny, "2001:db8::/32").await;
    let mut second = add_rule(&house, policy.id, RuleAction::Deny, "10.0.0.0/8").await;
    let listed = store.ip_rule_list(account, page(None, 2)).await.unwrap();
    assert_eq!((&listed.items[..], listed.more), (&[second.clone(), elsewhere.clone()][..], true));
    assert_eq!(
        store.ip_rules_of(account, policy.id).await.unwrap(),
        [second.clone(), first.clone()],
        "newest first"
    );
    second.cidr = "2001:db8::/32".parse().unwrap();
    second.revision = 2;
    let taken = update_rule(&house, &second, None).await;
    assert!(matches!(taken, Err(Error::NotUnique(Noun::IpPolicyRule))), "{taken:?}");
    (first.cidr, first.revision) = ("192.0.2.0/24".parse().unwrap(), 2);
    (first.description, first.metadata) = (String::new(), "other".to_owned());
    update_rule(&house, &first, None).await.unwrap();
    assert_eq!(store.ip_rule_find(account, first.id).await.unwrap(), Some(first.clone()));
    delete_rule(&house, &first, None).await.unwrap();
    assert_eq!(store.ip_rule_find(account, first.id).await.unwrap(), None);
    let lost = rule(&house, IpPolicyId::new(house.stamp().ksuid), RuleAction::Allow, "10.0.0.0/8");
    let lost = insert_rule(&house, &lost, None).await;
    assert!(matches!(lost, Err(Error::Invalid(Rule::IpPolicyId))), "{lost:?}");
}

async fn restrictions_come_and_go(store: &dyn Store) {
    let house = House::build(store).await;
    let account = house.account;
    let (one, two) = (add_policy(&house).await.id, add_policy(&house).await.id);
    let mut first = add(&house, false, &[two, one]).await;
    assert_eq!(store.ip_restriction_find(account, first.id).await.unwrap(), Some(first.clone()));
    let second = add(&house, true, &[one]).await;
    let listed = store.ip_restriction_list(account, page(None, 1)).await.unwrap();
    assert_eq!((&listed.items[..], listed.more), (&[second.clone()][..], true));
    (first.enforced, first.policies, first.revision) = (true, vec![two], 2);
    (first.description, first.metadata) = (String::new(), "other".to_owned());
    update(&house, &first, None).await.unwrap();
    assert_eq!(store.ip_restriction_find(account, first.id).await.unwrap(), Some(first.clone()));
    let unknown = IpPolicyId::new(house.stamp().ksuid);
    let refused = insert(&house, &restriction(&house, true, &[one, unknown]), None).await;
    assert!(matches!(refused, Err(Error::Invalid(Rule::NoSuchIpPolicy(_)))), "{refused:?}");
    let other = IpRestriction { policies: vec![unknown], revision: 3, ..first.clone() };
    let refused = update(&house, &other, None).await;
    assert!(matches!(refused, Err(Error::Invalid(Rule::NoSuchIpPolicy(_)))), "{refused:?}");
    delete(&house, &first, None).await.unwrap();
    assert_eq!(store.ip_restriction_find(account, first.id).await.unwrap(), None);
}

async fn there_are_no_more_than_so_many(store: &dyn Store) {
    let house = House::build(store).await;
    let full = |result: Result<(), Error>, noun| {
        assert!(matches!(&result, Err(Error::LimitReached { noun: of, .. }) if *of == noun), "{result:?}");
    };
    let first = add_policy(&house).await.id;
    for number in 0..IpPolicyRule::MAX {
        add_rule(&house, first, RuleAction::Allow, &format!("10.0.{number}.0/24")).await;
    }
    let more = rule(&house, first, RuleAction::Allow, "192.0.2.0/24");
    full(insert_rule(&house, &more, None).await, Noun::IpPolicyRule);
    for _ in 0..IpRestriction::MAX {
        add(&house, false, &[first]).await;
    }
    full(insert(&house, &restriction(&house, false, &[first]), None).await, Noun::IpRestriction);
    for _ in 1..IpPolicy::MAX {
        add_policy(&house).await;
    }
    let more = policy(&house);
    let event = house.event(&more, Action::Created);
    full(store.ip_policy_insert(house.account, more, event.into()).await, Noun::IpPolicy);
}

async fn a_change_of_what_has_changed_is_stale(store: &dyn Store) {
    let house = House::build(store).await;
    let stale = |result: Result<(), Error>| assert!(matches!(result, Err(Error::Stale)), "{result:?}");
    let policy = add_policy(&house).await;
    let rule = add_rule(&house, policy.id, RuleAction::Allow, "10.0.0.0/8").await;
    let restriction = add(&house, false, &[policy.id]).await;
    let events = head(&house).await;
    let event = house.event(&policy, Action::Updated);
    stale(store.ip_policy_update(house.account, IpPolicy { revision: 3, ..policy.clone() }, event).await);
    stale(update_rule(&house, &IpPolicyRule { revision: 3, ..rule.clone() }, None).await);
    stale(delete_rule(&house, &IpPolicyRule { revision: 2, ..rule.clone() }, None).await);
    stale(update(&house, &IpRestriction { revision: 3, ..restriction.clone() }, None).await);
    stale(delete(&house, &IpRestriction { revision: 2, ..restriction.clone() }, None).await);
    delete(&house, &restriction, None).await.unwrap();
    stale(delete(&house, &restriction, None).await);
    // It has a rule that whoever removes it has not seen, or one less.
    stale(delete_policy(&house, &policy, &[]).await);
    delete_rule(&house, &rule, None).await.unwrap();
    stale(delete_policy(&house, &policy, &[rule.id]).await);
    assert_eq!(head(&house).await, events + 2, "what is refused leaves no trace");
}

async fn a_policy_that_is_named_stays(store: &dyn Store) {
    let house = House::build(store).await;
    let policy = add_policy(&house).await;
    let rules = [
        add_rule(&house, policy.id, RuleAction::Deny, "10.0.0.0/8").await.id,
        add_rule(&house, policy.id, RuleAction::Allow, "192.0.2.0/24").await.id,
    ];
    let newest_first = [rules[1], rules[0]];
    let restriction = add(&house, false, &[policy.id]).await;
    let used = delete_policy(&house, &policy, &newest_first).await;
    let by = [restriction.id];
    assert!(
        matches!(&used, Err(Error::Conflict(Conflict::InUse { policy: of, by: named })) if *of == policy.id && named[..] == by),
        "{used:?}"
    );
    delete(&house, &restriction, None).await.unwrap();
    delete_policy(&house, &policy, &newest_first).await.unwrap();
    for rule in rules {
        assert_eq!(store.ip_rule_find(house.account, rule).await.unwrap(), None, "it goes with its policy");
    }
}

async fn the_gate_is_never_older_than_a_change(store: &dyn Store) {
    let house = House::build(store).await;
    assert_eq!(judge(&house, HERE).await, Verdict::In);
    let policy = add_policy(&house).await.id;
    let mut restriction = add(&house, false, &[policy]).await;
    assert_eq!(judge(&house, HERE).await, Verdict::Warned(restriction.id));
    (restriction.enforced, restriction.revision) = (true, 2);
    update(&house, &restriction, None).await.unwrap();
    assert_eq!(judge(&house, HERE).await, Verdict::Out(restriction.id));
    let mut rule = add_rule(&house, policy, RuleAction::Allow, "192.0.2.0/24").await;
    assert_eq!(judge(&house, HERE).await, Verdict::In);
    (rule.cidr, rule.revision) = ("192.0.2.128/25".parse().unwrap(), 2);
    update_rule(&house, &rule, None).await.unwrap();
    assert_eq!(judge(&house, HERE).await, Verdict::Out(restriction.id));
    let wide = add_rule(&house, policy, RuleAction::Allow, "0.0.0.0/0").await;
    assert_eq!(judge(&house, HERE).await, Verdict::In);
    delete_rule(&house, &wide, None).await.unwrap();
    assert_eq!(judge(&house, HERE).await, Verdict::Out(restriction.id));
    delete(&house, &restriction, None).await.unwrap();
    assert_eq!(judge(&house, HERE).await, Verdict::In);
}

async fn a_change_that_keeps_out_who_must_stay_is_none(store: &dyn Store) {
    let house = House::build(store).await;
    let locked = |result: Result<(), Error>| {
        let out = matches!(result, Err(Error::Conflict(Conflict::LockOut(address))) if address == HERE);
        assert!(out, "{result:?}");
    };
    let (policy, empty) = (add_policy(&house).await.id, add_policy(&house).await.id);
    let allow = add_rule(&house, policy, RuleAction::Allow, "192.0.2.0/24").await;
    let enforced = restriction(&house, true, &[policy]);
    insert(&house, &enforced, Some(HERE)).await.unwrap();
    let before = (head(&house).await, store.ip_gate(house.account).await.unwrap());

    locked(insert(&house, &restriction(&house, true, &[empty]), Some(HERE)).await);
    locked(
        update(&house, &IpRestriction { policies: vec![empty], revision: 2, ..enforced.clone() }, Some(HERE))
            .await,
    );
    locked(delete_rule(&house, &allow, Some(HERE)).await);
    let elsewhere = IpPolicyRule { cidr: "10.0.0.0/8".parse().unwrap(), revision: 2, ..allow.clone() };
    locked(update_rule(&house, &elsewhere, Some(HERE)).await);
    let deny = rule(&house, policy, RuleAction::Deny, "192.0.2.7/32");
    locked(insert_rule(&house, &deny, Some(HERE)).await);
    let after = (head(&house).await, store.ip_gate(house.account).await.unwrap());
    assert_eq!(after, before, "what is refused leaves no trace");
    assert_eq!(store.ip_rules_of(house.account, policy).await.unwrap(), [allow]);

    // What lets another address out, or only warns, is nothing that must be confirmed.
    let other = rule(&house, policy, RuleAction::Deny, "192.0.2.8/32");
    insert_rule(&house, &other, Some(HERE)).await.unwrap();
    insert(&house, &restriction(&house, false, &[empty]), Some(HERE)).await.unwrap();
    insert_rule(&house, &deny, None).await.unwrap();
    assert_eq!(judge(&house, HERE).await, Verdict::Out(enforced.id));
    // Whoever is out already may still let themselves in.
    delete(&house, &enforced, Some(HERE)).await.unwrap();
}
