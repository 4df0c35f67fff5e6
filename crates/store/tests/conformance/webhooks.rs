//! Webhooks, their places in the log, and what they were not told.

use jiff::Timestamp;
use strongroom_domain::audit::Action;
use strongroom_domain::error::{Error, Noun};
use strongroom_domain::ids::{EventId, WebhookId};
use strongroom_domain::page::PageLimit;
use strongroom_domain::store::Store;
use strongroom_domain::webhook::{
    Delivery, DeliveryCounts, DeliveryState, EventTypes, Settled, Webhook, WebhookUrl,
};

use super::house::{House, page, under_root};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    webhooks_come_and_go,
    there_are_no_more_than_so_many,
    a_change_of_what_has_changed_is_stale,
    a_place_goes_on_and_never_back,
    who_wakes_up_has_missed_what_happened,
    old_secrets_go_when_their_time_is_over,
    deliveries_are_kept_until_they_are_taken,
    what_is_said_last_of_a_delivery_counts,
    deliveries_are_listed_by_state_and_page,
    what_is_given_up_starts_anew,
    the_dead_are_removed_in_time,
    deliveries_go_with_their_webhook,
];

fn webhook(house: &House<'_>) -> Webhook {
    let stamp = house.stamp();
    Webhook {
        id: WebhookId::new(stamp.ksuid),
        url: WebhookUrl::read("https://hooks.example.com/in").unwrap(),
        event_types: EventTypes::from_text("secret_updated.v0 vault_deleted.v0"),
        description: "a description".to_owned(),
        metadata: "some metadata".to_owned(),
        active: true,
        created_at: stamp.at,
        updated_at: stamp.at,
        revision: 1,
        secret: under_root(&[1; 53]),
        old_secret: None,
        position: 0,
    }
}

async fn insert(house: &House<'_>, webhook: &Webhook, max: u64) -> Result<(), Error> {
    let event = house.event(webhook, Action::Created);
    house.store.webhook_insert(house.account, webhook.clone(), max, event).await
}

/// A webhook that is there, as the store tells it.
async fn add(house: &House<'_>) -> Webhook {
    let webhook = webhook(house);
    insert(house, &webhook, 10).await.unwrap();
    find(house, webhook.id).await
}

async fn find(house: &House<'_>, id: WebhookId) -> Webhook {
    house.store.webhook_find(house.account, id).await.unwrap().unwrap()
}

async fn update(house: &House<'_>, webhook: &Webhook) -> Result<(), Error> {
    let event = house.event(webhook, Action::Updated);
    house.store.webhook_update(house.account, webhook.clone(), event).await
}

async fn delete(house: &House<'_>, webhook: &Webhook) -> Result<(), Error> {
    let event = house.event(webhook, Action::Deleted);
    house.store.webhook_delete(house.account, webhook.id, webhook.revision, event).await
}

async fn head(house: &House<'_>) -> u64 {
    house.store.audit_head().await.unwrap().sequence
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn delivery(house: &House<'_>, sequence: u64, state: DeliveryState, due: i64) -> Delivery {
    Delivery {
        sequence,
        event: EventId::new(house.stamp().ksuid),
        kind: "secret_updated.v0".to_owned(),
        body: format!("body of {sequence}"),
        state,
        attempts: 3,
        due: at(due),
        error: "the target answered 500".to_owned(),
    }
}

async fn settle(house: &House<'_>, id: WebhookId, position: u64, settled: Vec<Settled>) -> Result<(), Error> {
    house.store.delivery_settle(house.account, id, position, settled).await
}

async fn put(house: &House<'_>, id: WebhookId, deliveries: &[Delivery]) {
    let settled = deliveries.iter().cloned().map(Settled::Failed).collect();
    settle(house, id, 0, settled).await.unwrap();
}

/// All deliveries of a webhook, the newest first.
async fn all(house: &House<'_>, id: WebhookId) -> Vec<Delivery> {
    house.store.delivery_list(house.account, id, None, None, PageLimit::MAX).await.unwrap().items
}

async fn counts(house: &House<'_>, id: WebhookId) -> (u64, u64) {
    let DeliveryCounts { waiting, dead } = house.store.delivery_counts(house.account, id).await.unwrap();
    (waiting, dead)
}

async fn webhooks_come_and_go(store: &dyn Store) {
    let house = House::build(store).await;
    let made = webhook(&house);
    insert(&house, &made, 10).await.unwrap();
    let position = head(&house).await;
    let mut known = find(&house, made.id).await;
    assert_eq!(known, Webhook { position, ..made }, "it is told of what comes after its own making");
    let (second, third) = (add(&house).await, add(&house).await);
    let first_page = store.webhook_list(house.account, page(None, 2)).await.unwrap();
    assert_eq!((&first_page.items[..], first_page.more), (&[third.clone(), second.clone()][..], true));
    let rest = store.webhook_list(house.account, page(Some(second.id.ksuid()), 2)).await.unwrap();
    assert_eq!((&rest.items[..], rest.more), (&[known.clone()][..], false));

    known.url = WebhookUrl::read("http://10.0.0.1:8080/other?token=x").unwrap();
    known.event_types = EventTypes::from_text("*");
    known.description = String::new();
    known.metadata = "other".to_owned();
    known.active = false;
    known.secret = under_root(&[2; 62]);
    known.old_secret = Some((under_root(&[1; 53]), at(1_800_000_000)));
    known.revision = 2;
    update(&house, &known).await.unwrap();
    assert_eq!(find(&house, known.id).await, known);
    let mut active = store.webhook_active(house.account).await.unwrap();
    active.sort();
    assert_eq!(active, [second.id, third.id]);

    delete(&house, &known).await.unwrap();
    assert_eq!(store.webhook_find(house.account, known.id).await.unwrap(), None);
}

async fn there_are_no_more_than_so_many(store: &dyn Store) {
    let house = House::build(store).await;
    let first = webhook(&house);
    insert(&house, &first, 1).await.unwrap();
    let events = head(&house).await;
    let full = insert(&house, &webhook(&house), 1).await.unwrap_err();
    assert!(matches!(full, Error::LimitReached { noun: Noun::Webhook, max: 1, vault: None }), "{full:?}");
    assert_eq!(head(&house).await, events, "it left a trace");
    delete(&house, &first).await.unwrap();
    insert(&house, &webhook(&house), 1).await.unwrap();
}

async fn a_change_of_what_has_changed_is_stale(store: &dyn Store) {
    let house = House::build(store).await;
    let mut webhook = add(&house).await;
    webhook.revision = 2;
    update(&house, &webhook).await.unwrap();
    assert!(matches!(update(&house, &webhook).await, Err(Error::Stale)));
    let earlier = Webhook { revision: 1, ..webhook.clone() };
    assert!(matches!(delete(&house, &earlier).await, Err(Error::Stale)));
    delete(&house, &webhook).await.unwrap();
    assert!(matches!(delete(&house, &webhook).await, Err(Error::Stale)));
    webhook.revision = 3;
    assert!(matches!(update(&house, &webhook).await, Err(Error::Stale)));
}

async fn a_place_goes_on_and_never_back(store: &dyn Store) {
    let house = House::build(store).await;
    let webhook = add(&house).await;
    let events = head(&house).await;
    settle(&house, webhook.id, 50, Vec::new()).await.unwrap();
    settle(&house, webhook.id, 40, Vec::new()).await.unwrap();
    assert_eq!(find(&house, webhook.id).await, Webhook { position: 50, ..webhook.clone() });
    assert_eq!(head(&house).await, events, "a place is no event");
    // A change of the webhook that was read before leaves the place alone.
    update(&house, &Webhook { revision: 2, position: 7, ..webhook.clone() }).await.unwrap();
    assert_eq!(find(&house, webhook.id).await.position, 50);
}

async fn who_wakes_up_has_missed_what_happened(store: &dyn Store) {
    let house = House::build(store).await;
    let mut webhook = add(&house).await;
    let place = webhook.position;
    (webhook.active, webhook.revision) = (false, 2);
    update(&house, &webhook).await.unwrap();
    house.add_vault("unheard").await;
    assert_eq!(find(&house, webhook.id).await.position, place);
    (webhook.active, webhook.revision) = (true, 3);
    update(&house, &webhook).await.unwrap();
    assert_eq!(find(&house, webhook.id).await.position, head(&house).await);
}

async fn old_secrets_go_when_their_time_is_over(store: &dyn Store) {
    let house = House::build(store).await;
    let mut kept = Vec::new();
    for until in [100, 101] {
        let mut webhook = add(&house).await;
        webhook.revision = 2;
        webhook.old_secret = Some((under_root(&[3; 53]), at(until)));
        update(&house, &webhook).await.unwrap();
        kept.push(webhook);
    }
    store.old_secrets_delete(house.account, at(100)).await.unwrap();
    kept[0].old_secret = None;
    for webhook in kept {
        assert_eq!(find(&house, webhook.id).await, webhook);
    }
}

async fn deliveries_are_kept_until_they_are_taken(store: &dyn Store) {
    let house = House::build(store).await;
    let (webhook, other) = (add(&house).await, add(&house).await);
    let waiting = |sequence, due| delivery(&house, sequence, DeliveryState::Waiting, due);
    let (late, soon, dead) =
        (waiting(4, 300), waiting(7, 200), delivery(&house, 5, DeliveryState::Dead, 100));
    put(&house, webhook.id, &[late.clone(), soon.clone(), dead.clone()]).await;
    let next = async |limit| store.delivery_next(house.account, webhook.id, limit).await.unwrap();
    assert_eq!(
        next(10).await,
        [soon.clone(), late.clone()],
        "those that are due first before, and no dead one"
    );
    assert_eq!(next(1).await, std::slice::from_ref(&soon));
    assert!(store.delivery_next(house.account, other.id, 10).await.unwrap().is_empty());
    assert_eq!(counts(&house, webhook.id).await, (2, 1));
    assert_eq!(counts(&house, other.id).await, (0, 0));

    let again = Delivery { attempts: 4, due: at(900), error: "it hangs".to_owned(), ..soon };
    let settled = vec![Settled::Delivered(4), Settled::Failed(again.clone()), Settled::Delivered(99)];
    settle(&house, webhook.id, 60, settled).await.unwrap();
    assert_eq!(all(&house, webhook.id).await, [again, dead]);
    assert_eq!(find(&house, webhook.id).await.position, 60);
}

async fn what_is_said_last_of_a_delivery_counts(store: &dyn Store) {
    let house = House::build(store).await;
    let webhook = add(&house).await;
    let once = |sequence| delivery(&house, sequence, DeliveryState::Waiting, 100);
    let (kept, taken) = (once(1), once(2));
    let again = Delivery { attempts: 4, state: DeliveryState::Dead, due: at(900), ..kept.clone() };
    let settled = vec![
        Settled::Delivered(1),
        Settled::Failed(kept),
        Settled::Failed(taken),
        Settled::Failed(again.clone()),
        Settled::Delivered(2),
    ];
    settle(&house, webhook.id, 0, settled).await.unwrap();
    assert_eq!(all(&house, webhook.id).await, [again]);
}

async fn deliveries_are_listed_by_state_and_page(store: &dyn Store) {
    let house = House::build(store).await;
    let webhook = add(&house).await;
    let states = [DeliveryState::Dead, DeliveryState::Waiting];
    let made: Vec<_> = (1..7).map(|n| delivery(&house, n, states[n as usize % 2], 100)).collect();
    put(&house, webhook.id, &made).await;
    let list = async |state, before, limit| {
        let limit = PageLimit::new(limit).unwrap();
        let page = store.delivery_list(house.account, webhook.id, state, before, limit).await.unwrap();
        (page.items.iter().map(|delivery| delivery.sequence).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(list(None, None, 4).await, (vec![6, 5, 4, 3], true));
    assert_eq!(list(None, Some(3), 4).await, (vec![2, 1], false));
    assert_eq!(list(Some(DeliveryState::Dead), None, 2).await, (vec![6, 4], true));
    assert_eq!(list(Some(DeliveryState::Waiting), Some(5), 2).await, (vec![3, 1], false));
    assert_eq!(list(None, Some(u64::MAX), 1).await, (vec![6], true));
}

async fn what_is_given_up_starts_anew(store: &dyn Store) {
    let house = House::build(store).await;
    let webhook = add(&house).await;
    let dead = [1, 2].map(|n| delivery(&house, n, DeliveryState::Dead, 100));
    let waiting = delivery(&house, 3, DeliveryState::Waiting, 5000);
    put(&house, webhook.id, &[dead[0].clone(), dead[1].clone(), waiting.clone()]).await;
    let retry = async |which| store.delivery_retry(house.account, webhook.id, which, at(900)).await.unwrap();
    assert_eq!((retry(Some(2)).await, retry(Some(9)).await), (1, 0));
    let anew =
        |of: &Delivery| Delivery { state: DeliveryState::Waiting, attempts: 0, due: at(900), ..of.clone() };
    assert_eq!(all(&house, webhook.id).await, [waiting.clone(), anew(&dead[1]), dead[0].clone()]);
    assert_eq!(retry(None).await, 3);
    let now = Delivery { due: at(900), ..waiting };
    assert_eq!(all(&house, webhook.id).await, [now, anew(&dead[1]), anew(&dead[0])]);
}

async fn the_dead_are_removed_in_time(store: &dyn Store) {
    let house = House::build(store).await;
    let webhook = add(&house).await;
    let made: Vec<_> = (1..6).map(|n| delivery(&house, n, DeliveryState::Dead, 106 - n as i64)).collect();
    put(&house, webhook.id, &made).await;
    put(&house, webhook.id, &[delivery(&house, 9, DeliveryState::Waiting, 1)]).await;
    let prune =
        async |by, limit| store.delivery_prune(house.account, webhook.id, at(by), limit).await.unwrap();
    assert_eq!(prune(100, 10).await, 0);
    let left = async || -> Vec<_> {
        all(&house, webhook.id).await.iter().map(|delivery| delivery.sequence).collect()
    };
    assert_eq!(prune(104, 3).await, 3);
    assert_eq!(left().await, [9, 2, 1], "the oldest go first, whatever they are of");
    assert_eq!((prune(104, 3).await, prune(104, 3).await), (1, 0));
    assert_eq!(left().await, [9, 1]);
}

async fn deliveries_go_with_their_webhook(store: &dyn Store) {
    let house = House::build(store).await;
    let webhook = add(&house).await;
    put(&house, webhook.id, &[delivery(&house, 1, DeliveryState::Dead, 100)]).await;
    delete(&house, &webhook).await.unwrap();
    assert!(all(&house, webhook.id).await.is_empty());
    // An attempt that was under way comes too late: nothing of it is kept.
    let late = vec![Settled::Failed(delivery(&house, 2, DeliveryState::Waiting, 100))];
    assert!(matches!(settle(&house, webhook.id, 9, late).await, Err(Error::Stale)));
    assert_eq!(counts(&house, webhook.id).await, (0, 0));
}
