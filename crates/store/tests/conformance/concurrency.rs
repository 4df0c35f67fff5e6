//! Many at once.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_domain::app::audit::verify;
use strongroom_domain::error::Noun;
use strongroom_domain::ids::PrincipalId;
use strongroom_domain::secret::Secret;
use strongroom_domain::store::Store;
use strongroom_domain::{Error, Result};
use tokio::runtime::Handle;

use super::house::House;
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    one_insert_of_a_name_wins,
    no_update_is_lost,
    a_limit_holds,
    failures_leave_no_gap_among_successes,
    half_done_changes_are_undone_alone,
    a_vault_goes_or_is_filled,
    a_service_user_goes_with_all_of_its_keys,
];

const THREADS: usize = 8;

/// Runs the work on as many threads, all let go at the same moment.
pub(super) fn at_once<T: Send>(threads: usize, work: impl AsyncFn(usize) -> T + Sync) -> Vec<T> {
    let (runtime, start) = (Handle::current(), Barrier::new(threads));
    std::thread::scope(|scope| {
        let run = |number| {
            let (runtime, start, work) = (&runtime, &start, &work);
            scope.spawn(move || {
                start.wait();
                runtime.block_on(work(number))
            })
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn wins(results: &[Result<()>], refused: fn(&Error) -> bool) -> usize {
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(refused(error), "{error:?}");
    }
    results.iter().filter(|result| result.is_ok()).count()
}

async fn one_insert_of_a_name_wins(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    for round in 0..10 {
        let name = format!("round-{round}");
        let results = at_once(THREADS, async |_| house.vault_insert(&house.vault(&name)).await);
        assert_eq!(wins(&results, |error| matches!(error, Error::NotUnique(Noun::Vault))), 1);
        let results =
            at_once(THREADS, async |_| house.secret_insert(&vault, &house.secret(&vault, &name)).await);
        assert_eq!(wins(&results, |error| matches!(error, Error::NotUnique(Noun::Secret))), 1);
        let results = at_once(THREADS, async |_| house.service_user_insert(&house.service_user(&name)).await);
        assert_eq!(wins(&results, |error| matches!(error, Error::NotUnique(Noun::ServiceUser))), 1);
    }
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.vaults, counts.secrets, counts.events), (11, 10, 32));
}

/// Everyone adds to one number, read before: a lost update would leave the sum short.
async fn no_update_is_lost(store: &dyn Store) {
    const EACH: u64 = 25;
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let counter = Secret { description: "0".to_owned(), ..house.secret(&vault, "counter") };
    house.secret_insert(&vault, &counter).await.unwrap();
    let lost = AtomicU64::new(0);
    at_once(THREADS, async |_| {
        let mut done = 0;
        while done < EACH {
            let mut next = (*store.secret_find(house.account, counter.id).await.unwrap().unwrap()).clone();
            let number: u64 = next.description.parse().unwrap();
            next.description = (number + 1).to_string();
            (next.revision, next.version) = (next.revision + 1, next.version + 1);
            match house.secret_update(&next, Some(house.version(&next))).await {
                Ok(()) => done += 1,
                Err(Error::Stale) => drop(lost.fetch_add(1, Ordering::Relaxed)),
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    let sum = THREADS as u64 * EACH;
    let last = store.secret_find(house.account, counter.id).await.unwrap().unwrap();
    assert_eq!((last.description.as_str(), last.revision), (sum.to_string().as_str(), sum + 1));
    let version = store.version_find(house.account, counter.id, last.version).await.unwrap();
    assert_eq!(version, Some(house.version(&last)));
    assert_eq!(store.audit_head().await.unwrap().sequence, sum + 3, "a lost try left an event");
    assert!(lost.into_inner() > 0, "nobody met anybody: this shows nothing");
}

async fn a_limit_holds(store: &dyn Store) {
    const MAX: u64 = 10;
    let house = House::build(store).await;
    let results: Vec<Result<()>> = at_once(THREADS, async |_| {
        let mut results = Vec::new();
        for _ in 0..4 {
            let vault = house.vault(&house.stamp().ksuid.to_string());
            let event = house.event(&vault, strongroom_domain::audit::Action::Created);
            results.push(store.vault_insert(house.account, vault, Some(MAX), event.into()).await);
        }
        results
    })
    .into_iter()
    .flatten()
    .collect();
    assert_eq!(wins(&results, |error| matches!(error, Error::LimitReached { .. })), MAX as usize);
    assert_eq!(store.counts().await.unwrap().vaults, MAX);
}

/// Changes that are committed together fail apart.
async fn failures_leave_no_gap_among_successes(store: &dyn Store) {
    let house = House::build(store).await;
    house.add_vault("taken").await;
    let results: Vec<Result<()>> = at_once(THREADS, async |thread| {
        let mut results = Vec::new();
        for round in 0..20 {
            let name = if (thread + round) % 2 == 0 { "taken" } else { &format!("{thread}-{round}") };
            results.push(house.vault_insert(&house.vault(name)).await);
        }
        results
    })
    .into_iter()
    .flatten()
    .collect();
    let won = wins(&results, |error| matches!(error, Error::NotUnique(_)));
    assert_eq!(won, THREADS * 20 / 2);
    let head = verify(store, |_| ()).await.unwrap().expect("the chain holds");
    let counts = store.counts().await.unwrap();
    assert_eq!((head.sequence, counts.vaults), (won as u64 + 2, won as u64 + 1));
}

/// A change that finds out late that it cannot be done has written something by then. What is committed together with it
/// stands, and is there once.
async fn half_done_changes_are_undone_alone(store: &dyn Store) {
    const EACH: usize = 20;
    let house = House::build(store).await;
    let (user, vault) = (house.add_service_user("robot").await, house.add_vault("vault").await);
    let key = house.add_api_key(PrincipalId::ServiceUser(user.id), "key").await;
    let before = store.counts().await.unwrap();
    let results: Vec<Result<()>> = at_once(THREADS, async |thread| {
        let mut results = Vec::new();
        for round in 0..EACH {
            results.push(match (thread + round) % 3 {
                // The user is deleted before its keys are found to be others.
                0 => house.service_user_delete(&user, &[]).await,
                1 => house.secret_insert(&vault, &house.secret(&vault, &format!("{thread}-{round}"))).await,
                _ => house.vault_insert(&house.vault(&format!("{thread}-{round}"))).await,
            });
        }
        results
    })
    .into_iter()
    .flatten()
    .collect();
    let won = wins(&results, |error| matches!(error, Error::Stale)) as u64;
    let head = verify(store, |_| ()).await.unwrap().expect("the chain holds");
    let after = store.counts().await.unwrap();
    assert_eq!(head.sequence, before.events + won);
    assert_eq!(after.vaults + after.secrets, before.vaults + before.secrets + won);
    let secrets = store.secret_list(house.account, None, super::house::page(None, 100)).await.unwrap();
    assert_eq!(secrets.items.len() as u64, after.secrets, "the count is not what there is");
    assert_eq!(store.service_user_find(house.account, user.id).await.unwrap(), Some(user));
    assert!(store.credential_find(key.id).await.unwrap().is_some(), "the key went without its owner");
}

async fn a_vault_goes_or_is_filled(store: &dyn Store) {
    let house = House::build(store).await;
    for round in 0..20 {
        let vault = house.add_vault(&format!("round-{round}")).await;
        let results = at_once(2, async |thread| match thread {
            0 => house.vault_delete(&vault).await,
            _ => house.secret_insert(&vault, &house.secret(&vault, "secret")).await,
        });
        let won = wins(&results, |error| matches!(error, Error::Stale | Error::NotEmpty));
        assert_eq!(won, 1, "{results:?}");
        let page = super::house::page(None, 100);
        let inside = store.secret_list(house.account, Some(vault.id), page).await.unwrap().items.len();
        let there = store.vault_find(house.account, vault.id).await.unwrap().is_some();
        assert_eq!(there, inside == 1, "a secret without a vault, or a vault that lost its secret");
    }
}

async fn a_service_user_goes_with_all_of_its_keys(store: &dyn Store) {
    let house = House::build(store).await;
    for round in 0..20 {
        let user = house.add_service_user(&format!("round-{round}")).await;
        let owner = PrincipalId::ServiceUser(user.id);
        let key = house.api_key(owner, "key");
        at_once(2, async |thread| match thread {
            0 => drop(house.service_user_delete(&user, &[]).await),
            _ => match house.api_key_insert(&key).await {
                // Its owner was gone already.
                Ok(()) | Err(Error::Stale) => {}
                Err(error) => panic!("{error:?}"),
            },
        });
        let there = store.service_user_find(house.account, user.id).await.unwrap().is_some();
        let opens = store.credential_find(key.id).await.unwrap().is_some();
        assert_eq!(opens, there, "a key opens just as long as its owner is there");
    }
}
