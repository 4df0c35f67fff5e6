//! Webhooks.

use strongroom_wire as wire;

use super::{Client, Error, Method, segment};

impl Client {
    /// Every webhook.
    ///
    /// # Errors
    /// Those of [`Client::call`], as for every method here.
    pub fn webhooks(&self) -> Result<Vec<wire::Webhook>, Error> {
        self.list::<wire::WebhookList>("/strongroom/webhooks", &[])
    }

    /// One webhook.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn webhook(&self, id: &str) -> Result<wire::Webhook, Error> {
        self.send::<()>(Method::Get, &path(id, ""), &[], None)?.json()
    }

    /// Makes a webhook; the answer holds its signing secret, this once.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn webhook_create(&self, webhook: &wire::WebhookCreate) -> Result<wire::Webhook, Error> {
        self.send(Method::Post, "/strongroom/webhooks", &[], Some(webhook))?.json()
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn webhook_update(&self, id: &str, change: &wire::WebhookUpdate) -> Result<wire::Webhook, Error> {
        self.send(Method::Patch, &path(id, ""), &[], Some(change))?.json()
    }

    /// Removes a webhook.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn webhook_delete(&self, id: &str) -> Result<(), Error> {
        self.send::<()>(Method::Delete, &path(id, ""), &[], None).map(drop)
    }

    /// Has a test message sent.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn webhook_test(&self, id: &str) -> Result<wire::WebhookTested, Error> {
        self.send::<()>(Method::Post, &path(id, "/test"), &[], None)?.json()
    }

    /// A page of a webhook's deliveries that failed; the query is the route's own.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn webhook_deliveries(
        &self,
        id: &str,
        query: &[(&str, &str)],
    ) -> Result<wire::WebhookDeliveryList, Error> {
        self.send::<()>(Method::Get, &path(id, "/deliveries"), query, None)?.json()
    }

    /// Has deliveries that failed tried again.
    ///
    /// # Errors
    /// Those of [`Client::call`].
    pub fn webhook_retry(&self, id: &str, which: &wire::WebhookRetry) -> Result<wire::WebhookRetried, Error> {
        self.send(Method::Post, &path(id, "/retry"), &[], Some(which))?.json()
    }
}

fn path(id: &str, rest: &str) -> String {
    format!("/strongroom/webhooks/{}{rest}", segment(id))
}
