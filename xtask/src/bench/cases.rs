//! What is asked: the kinds of request, for Strongroom and, where it has the like, for OpenBao.

use super::seed;

/// A request; `{new}` in its path or body stands for a text that is another each time.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: String,
}

impl Request {
    fn new(method: &'static str, path: impl Into<String>, body: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: body.into() }
    }

    /// The request with a text in place of `{new}`.
    pub(super) fn with(&self, new: &str) -> Self {
        let fill = |text: &str| text.replace("{new}", new);
        Self { method: self.method, path: fill(&self.path), body: fill(&self.body) }
    }
}

/// In which order the load generator takes the requests of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draw {
    /// Any of them, again and again.
    Any,
    /// The same, with a new text in each.
    New,
    /// Each of them once.
    Each,
}

/// One kind of request.
pub(super) struct Case {
    /// On the command line, in file names and JSON.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) draw: Draw,
    /// Whether the key must be one that may resolve.
    pub(super) resolves: bool,
    /// Whether it is measured at every number of connections in a short run, too.
    pub(super) central: bool,
    /// Whether how many secrets there are should make no difference.
    pub(super) sized: bool,
    /// Whether any of its paths goes with any of its bodies, and both may come twice: all that oha can do.
    pub(super) free: bool,
    /// More connections than this would only wait: the request keeps a core busy for long.
    pub(super) most: u32,
    /// The requests, in a store of so many secrets.
    pub(super) requests: fn(u64) -> Vec<Request>,
    pub(super) openbao: Option<fn() -> Vec<Request>>,
}

/// The case that the others follow.
const GET: Case = Case {
    name: "get",
    about: "get metadata",
    draw: Draw::Any,
    resolves: false,
    central: true,
    sized: true,
    free: true,
    most: u32::MAX,
    requests: get,
    openbao: Some(|| openbao("GET", "metadata", "")),
};

/// All cases. Those that change what others read come after them.
pub(super) const CASES: [Case; 11] = [
    GET,
    Case {
        name: "list",
        about: "list, first page of 100",
        central: false,
        requests: list,
        openbao: None,
        ..GET
    },
    Case {
        name: "list-middle",
        about: "list, a page of 100 in the middle",
        central: false,
        requests: list_middle,
        openbao: None,
        ..GET
    },
    Case {
        name: "filter-name",
        about: "list, filtered by exact name",
        central: false,
        requests: |count| filters_by_name(count, 2_000),
        openbao: None,
        ..GET
    },
    Case {
        name: "filter-metadata",
        about: "list, filtered by metadata (reads every row)",
        central: false,
        sized: false,
        most: 16,
        requests: filter_metadata,
        openbao: None,
        ..GET
    },
    Case {
        name: "resolve",
        about: "resolve one, audit durable",
        resolves: true,
        sized: false,
        requests: |count| resolve(count, 1),
        openbao: Some(|| openbao("GET", "data", "")),
        ..GET
    },
    Case {
        name: "resolve-50",
        about: "resolve 50, audit durable",
        resolves: true,
        central: false,
        sized: false,
        requests: |count| resolve(count, 50),
        openbao: None,
        ..GET
    },
    Case {
        name: "sync",
        about: "a sync tool: find by name, PATCH without a change",
        central: false,
        sized: false,
        free: false,
        requests: sync,
        openbao: None,
        ..GET
    },
    Case {
        name: "update",
        about: "durable update",
        draw: Draw::New,
        central: false,
        sized: false,
        requests: update,
        openbao: Some(|| {
            openbao("POST", "data", r#"{"data":{"value":"postgres://app:{new}@db.internal:5432/app"}}"#)
        }),
        ..GET
    },
    Case {
        name: "create",
        about: "durable create",
        draw: Draw::New,
        sized: false,
        free: false,
        requests: |_| vec![create()],
        openbao: Some(openbao_create),
        ..GET
    },
    Case {
        name: "delete",
        about: "durable delete",
        draw: Draw::Each,
        central: false,
        sized: false,
        free: false,
        requests: |_| deletes(0, 100),
        openbao: None,
        ..GET
    },
];

/// A case by its name.
pub(super) fn find(name: &str) -> Option<&'static Case> {
    const ALL: &[Case] = &CASES;
    ALL.iter().find(|case| case.name == name)
}

/// Numbers of so many secrets at most, spread evenly over a store.
fn spread(count: u64, most: u64) -> impl Iterator<Item = u64> {
    let drawn = count.min(most);
    (0..drawn).map(move |index| index * count / drawn)
}

/// How many ids are drawn from: enough to miss caches, few enough for the load generator.
const DRAWN: u64 = 10_000;

const PAGE: &str = "/vault_secrets?limit=100";

fn get(count: u64) -> Vec<Request> {
    let ids = spread(count, DRAWN).map(seed::id);
    ids.map(|id| Request::new("GET", format!("/vault_secrets/{id}"), "")).collect()
}

fn list(_: u64) -> Vec<Request> {
    vec![Request::new("GET", PAGE, "")]
}

/// Pages all over the store; each is full.
fn list_middle(count: u64) -> Vec<Request> {
    let first = count.min(100);
    let befores = spread(count - first + 1, 50).map(|number| seed::id((number + first).min(count - 1)));
    befores.map(|id| Request::new("GET", format!("{PAGE}&before_id={id}"), "")).collect()
}

fn filter_by_name(number: u64) -> Request {
    let name = seed::name(number).replace('/', "%2F");
    Request::new("GET", format!("/vault_secrets?filter=obj.name%20%3D%3D%20%22{name}%22"), "")
}

fn filters_by_name(count: u64, most: u64) -> Vec<Request> {
    spread(count, most).map(filter_by_name).collect()
}

/// The seeded metadata ends in `"number":7}`, so that `:7}` is in one row alone.
fn filter_metadata(count: u64) -> Vec<Request> {
    let filters = spread(count, 50).map(|number| format!("obj.metadata.contains(%22%3A{number}%7D%22)"));
    filters.map(|filter| Request::new("GET", format!("/vault_secrets?filter={filter}"), "")).collect()
}

fn resolve(count: u64, each: u64) -> Vec<Request> {
    let bodies = spread(count, 2_000).map(|first| {
        let numbers = (0..each).map(|place| seed::scramble(first * each + place) % count);
        let references =
            numbers.map(|number| format!(r#"{{"vault":"bench","name":"{}"}}"#, seed::name(number)));
        format!(r#"{{"secrets":[{}]}}"#, references.collect::<Vec<_>>().join(","))
    });
    bodies.map(|body| Request::new("POST", "/strongroom/resolve", body)).collect()
}

/// What External Secrets and Terraform do all day: look a secret up and send what it holds already.
fn sync(count: u64) -> Vec<Request> {
    let pairs = spread(count, DRAWN / 2).map(|number| {
        let (value, description, metadata) = seed::contents(number);
        let body = format!(r#"{{"value":"{value}","description":"{description}","metadata":"{metadata}"}}"#);
        let path = format!("/vault_secrets/{}", seed::id(number));
        [filter_by_name(number), Request::new("PATCH", path, body)]
    });
    pairs.flatten().collect()
}

fn update(count: u64) -> Vec<Request> {
    let body = r#"{"value":"postgres://app:{new}@db.internal:5432/app","description":"Changed by {new}"}"#;
    let ids = spread(count, DRAWN).map(seed::id);
    ids.map(|id| Request::new("PATCH", format!("/vault_secrets/{id}"), body)).collect()
}

fn create() -> Request {
    let body = r#"{"vault_name":"bench","name":"{new}","value":"postgres://app:correct-horse@db.internal:5432/app","description":"Connection string of the application","metadata":"{\"environment\":\"bench\"}"}"#;
    Request::new("POST", "/vault_secrets", body)
}

/// Deletes of secrets that were made for it.
pub(super) fn deletes(first: u64, count: u64) -> Vec<Request> {
    let ids = (first..first + count).map(|number| seed::id(seed::DOOMED + number));
    ids.map(|id| Request::new("DELETE", format!("/vault_secrets/{id}"), "")).collect()
}

/// How many secrets OpenBao holds: few, which does it no harm.
pub(super) const OPENBAO_SECRETS: u64 = 1_000;

/// The secrets that OpenBao has at the start.
pub(super) fn openbao_secrets() -> Vec<Request> {
    (0..OPENBAO_SECRETS).map(|number| openbao_write(&openbao_path("data", number))).collect()
}

fn openbao_path(kind: &str, number: u64) -> String {
    format!("/v1/secret/{kind}/app-{number:07}")
}

fn openbao_write(path: &str) -> Request {
    Request::new("POST", path, r#"{"data":{"value":"postgres://app:correct-horse@db.internal:5432/app"}}"#)
}

fn openbao(method: &'static str, kind: &str, body: &str) -> Vec<Request> {
    (0..OPENBAO_SECRETS).map(|number| Request::new(method, openbao_path(kind, number), body)).collect()
}

fn openbao_create() -> Vec<Request> {
    vec![openbao_write("/v1/secret/data/{new}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_over_the_store() {
        assert_eq!(spread(10, 100).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        assert_eq!(spread(1_000_000, 4).collect::<Vec<_>>(), [0, 250_000, 500_000, 750_000]);
    }

    #[test]
    fn a_middle_page_is_full() {
        let paths = list_middle(1_000);
        assert_eq!(paths.len(), 50);
        // There are a hundred before the first of them.
        assert!(paths[0].path.ends_with(&seed::id(100)));
        assert!(!list_middle(200).is_empty() && !list_middle(50).is_empty());
    }

    #[test]
    fn no_id_is_deleted_twice() {
        let (one, two) = (deletes(0, 10), deletes(10, 10));
        assert!(one.iter().all(|one| two.iter().all(|two| one.path != two.path)));
    }

    #[test]
    fn case_names_differ() {
        for case in &CASES {
            assert_eq!(CASES.iter().filter(|other| other.name == case.name).count(), 1);
        }
    }
}
