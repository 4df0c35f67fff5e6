//! Signing secrets of webhooks.

use strongroom_domain::app::{WebhookDraft, keys};
use strongroom_domain::text::{Description, Metadata};
use strongroom_domain::webhook::{EventTypes, Webhook, WebhookUrl};
use strongroom_store::sqlite::SqliteStore;

use crate::House;

async fn make(house: &House) -> Webhook {
    let draft = WebhookDraft {
        url: WebhookUrl::parse("https://hooks.example.com/", false).unwrap(),
        event_types: EventTypes::new(vec!["*".to_owned()]).unwrap(),
        description: Description::default(),
        metadata: Metadata::default(),
        active: true,
        secret: None,
    };
    house.app.webhook_create(&house.caller, draft).await.unwrap().0
}

#[tokio::test]
async fn a_signing_secret_opens_in_its_own_webhook_alone() {
    let house = House::build().await;
    let (one, two) = (make(&house).await, make(&house).await);
    let signs = async |webhook: &Webhook| {
        let webhook = house.app.webhook_get(&house.caller, webhook.id).await.unwrap();
        house.app.webhook_sign(&webhook, "msg", house.app.clock().now(), b"{}").await.is_ok()
    };
    let checked = async || {
        let store = SqliteStore::open_to_read(&house.folder.path().join("store.db")).unwrap();
        keys::check(&store, house.app.account(), &house.root_key).await.unwrap()
    };
    assert!(signs(&one).await && signs(&two).await && checked().await.is_ok());
    let swap = "UPDATE webhook SET secret = (SELECT secret FROM webhook WHERE id = ?2) WHERE id = ?1";
    let ids = [one.id, two.id].map(|id| *id.ksuid().as_bytes());
    house.backdoor().execute(swap, ids).unwrap();
    assert!(!signs(&one).await && signs(&two).await);
    assert_eq!(checked().await, Err(keys::Broken::SigningSecret(one.id)));
    let flip = "UPDATE webhook SET secret = zeroblob(length(secret)) WHERE id = ?1";
    house.backdoor().execute(flip, [ids[1]]).unwrap();
    assert!(!signs(&two).await);
}
