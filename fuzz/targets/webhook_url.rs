//! URLs of webhooks: whatever the text, an answer; and what is taken leads to no private address by the address in it, and to
//! no other host than the one that is looked up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_domain::webhook::WebhookUrl;
use strongroom_domain::webhook::address::special_use;

fuzz_target!(|text: &str| {
    if let Ok(url) = WebhookUrl::read(text) {
        check(text, &url);
    }
});

fn check(text: &str, url: &WebhookUrl) {
    let scheme = if url.is_https() { "https://" } else { "http://" };
    let path = url.path_and_query();
    let rest = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(url.authority()));
    let rest = rest.expect("the authority stands behind the scheme");
    assert_eq!(path.strip_prefix('/').expect("a path"), rest.strip_prefix('/').unwrap_or(rest));
    assert!(
        !url.authority().contains(['@', '/', '?', '#', '\\']) && !url.host().is_empty() && url.port() > 0
    );
    let bare = url.authority().trim_start_matches('[').to_ascii_lowercase();
    assert!(bare.starts_with(url.host()), "the host is the start of the authority");
    // An address that some programs would read out of a name is none here.
    let last = url.host().rsplit('.').next().expect("a label");
    assert!(url.address().is_some() || !last.bytes().all(|byte| byte.is_ascii_digit()));
    if let Ok(public) = WebhookUrl::parse(text, false) {
        assert!(public.is_https() && public.address().and_then(special_use).is_none());
    }
}
