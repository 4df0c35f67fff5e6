//! Every way in which a key comes to open less: what one node is told to do, and what another one then makes of the key.

use std::net::IpAddr;

use jiff::Timestamp;
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::audit::Action;
use strongroom_domain::gate::Verdict;
use strongroom_domain::ids::PrincipalId;
use strongroom_domain::ip_policy::RuleAction;
use strongroom_domain::principal::ServiceUser;

use super::house::House;
use super::ip;

/// Keys, each of which opens less in a way of its own once it is revoked.
pub(crate) struct Keys {
    robot: ServiceUser,
    deleted: ApiKey,
    narrowed: ApiKey,
    ended: ApiKey,
    of_robot: ApiKey,
}

impl Keys {
    pub(crate) async fn make(house: &House<'_>) -> Self {
        let robot = house.add_service_user("robot").await;
        let of_robot = house.add_api_key(PrincipalId::ServiceUser(robot.id), "of a robot").await;
        Self {
            robot,
            deleted: house.add_api_key(house.user, "to be deleted").await,
            narrowed: house.add_api_key(house.user, "to be given grants").await,
            ended: house.add_api_key(house.user, "to end").await,
            of_robot,
        }
    }

    /// Revokes each of them in its way, and keeps the address out that all come from.
    pub(crate) async fn revoke(&self, house: &House<'_>) {
        let grants = Some("resolve vault:name".parse().unwrap());
        let narrowed = ApiKey { grants, revision: 2, ..self.narrowed.clone() };
        let ended = ApiKey { expires_at: Some(past()), revision: 2, ..self.ended.clone() };
        house.api_key_delete(&self.deleted).await.unwrap();
        for key in [narrowed, ended] {
            let event = house.event(&key, Action::Updated);
            house.store.api_key_update(house.account, key, event).await.unwrap();
        }
        let asleep = ServiceUser { active: false, revision: 2, ..self.robot.clone() };
        house.service_user_update(&asleep).await.unwrap();
        let policy = ip::add_policy(house).await;
        ip::add_rule(house, policy.id, RuleAction::Deny, "192.0.2.0/24").await;
        ip::add(house, true, &[policy.id]).await;
    }

    /// What opens as it did before, by what a node answers.
    pub(crate) async fn open_still(&self, house: &House<'_>) -> Vec<&'static str> {
        let find = async |key: &ApiKey| house.store.credential_find(key.id).await.unwrap();
        let mut open = Vec::new();
        if find(&self.deleted).await.is_some() {
            open.push("a key that is deleted");
        }
        if find(&self.narrowed).await.unwrap().key.grants.is_none() {
            open.push("a key that has other grants");
        }
        if find(&self.ended).await.unwrap().key.expires_at.is_none() {
            open.push("a key that ended");
        }
        if find(&self.of_robot).await.unwrap().active {
            open.push("a key whose owner is not active");
        }
        let here: IpAddr = "192.0.2.7".parse().unwrap();
        if matches!(house.store.ip_gate(house.account).await.unwrap().judge(here), Verdict::In) {
            open.push("an address that is kept out");
        }
        open
    }
}

fn past() -> Timestamp {
    Timestamp::from_second(1_000_000_000).unwrap()
}
