use clap::{Args, Subcommand};
use serde_json::Value;
use strongroom_client::api::Method;

use super::{Call, Filtered, Id, Notes, parse_bool, text};

#[derive(Subcommand)]
pub(super) enum Policies {
    /// Make an IP policy
    #[command(after_help = "Example:\n  strongroom api ip-policies create --description offices")]
    Create(Notes),
    /// Remove an IP policy that no restriction names, and its rules
    #[command(after_help = "Example:\n  strongroom api ip-policies delete ipp_32ELHI4zOitQxIqDFNmlTmyTbTk")]
    Delete(Id),
    /// Show an IP policy
    #[command(after_help = "Example:\n  strongroom api ip-policies get ipp_32ELHI4zOitQxIqDFNmlTmyTbTk")]
    Get(Id),
    /// List IP policies
    #[command(after_help = "Example:\n  strongroom api ip-policies list --limit 10")]
    List(Filtered),
    /// Change an IP policy; what is not given stays
    #[command(
        after_help = "Example:\n  strongroom api ip-policies update ipp_32ELHI4zOitQxIqDFNmlTmyTbTk --description offices"
    )]
    Update {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        notes: Notes,
    },
}

#[derive(Subcommand)]
pub(super) enum Rules {
    /// Make a rule of an IP policy
    #[command(
        after_help = "Example:\n  strongroom api ip-policy-rules create --ip-policy-id ipp_32ELHI4zOitQxIqDFNmlTmyTbTk \\\n    --cidr 192.0.2.0/24 --action allow"
    )]
    Create {
        /// The addresses that it is about, such as 192.0.2.0/24 or 2001:db8::/32
        #[arg(long, value_name = "CIDR")]
        cidr: Option<String>,
        /// The policy that it is to be of
        #[arg(long, value_name = "ID")]
        ip_policy_id: Option<String>,
        /// allow or deny
        #[arg(long, value_name = "ACTION")]
        action: Option<String>,
        #[command(flatten)]
        notes: Notes,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Remove a rule
    #[command(
        after_help = "Example:\n  strongroom api ip-policy-rules delete ipr_32ELHGRtWDjKkbeBYdXf2J02oFo"
    )]
    Delete {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Show a rule
    #[command(after_help = "Example:\n  strongroom api ip-policy-rules get ipr_32ELHGRtWDjKkbeBYdXf2J02oFo")]
    Get(Id),
    /// List the rules of all IP policies
    #[command(
        after_help = "Example:\n  strongroom api ip-policy-rules list --filter 'obj.action == \"deny\"'"
    )]
    List(Filtered),
    /// Change a rule; what is not given stays
    #[command(
        after_help = "Example:\n  strongroom api ip-policy-rules update ipr_32ELHGRtWDjKkbeBYdXf2J02oFo --cidr 192.0.2.0/25"
    )]
    Update {
        #[command(flatten)]
        id: Id,
        /// Other addresses
        #[arg(long, value_name = "CIDR")]
        cidr: Option<String>,
        #[command(flatten)]
        notes: Notes,
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(Subcommand)]
pub(super) enum Restrictions {
    /// Make an IP restriction
    #[command(
        after_help = "Example:\n  strongroom api ip-restrictions create --type api --ip-policy-ids ipp_32ELHI4zOitQxIqDFNmlTmyTbTk --enforced"
    )]
    Create {
        /// What it is about: api; or dashboard, agent, endpoints, which do nothing here
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        #[command(flatten)]
        bound: Bound,
        #[command(flatten)]
        notes: Notes,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Remove an IP restriction
    #[command(
        after_help = "Example:\n  strongroom api ip-restrictions delete ipx_32ELHRyPF0W9cTgHneQosfwYPm3"
    )]
    Delete {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Show an IP restriction
    #[command(after_help = "Example:\n  strongroom api ip-restrictions get ipx_32ELHRyPF0W9cTgHneQosfwYPm3")]
    Get(Id),
    /// List IP restrictions
    #[command(after_help = "Example:\n  strongroom api ip-restrictions list")]
    List(Filtered),
    /// Change an IP restriction; what is not given stays
    #[command(
        after_help = "Example:\n  strongroom api ip-restrictions update ipx_32ELHRyPF0W9cTgHneQosfwYPm3 --enforced=false"
    )]
    Update {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        bound: Bound,
        #[command(flatten)]
        notes: Notes,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// What a restriction is bound to, and how.
#[derive(Args)]
pub(super) struct Bound {
    /// A policy that it names; may be repeated
    #[arg(long = "ip-policy-ids", value_name = "ID", value_delimiter = ',')]
    policies: Vec<String>,
    /// Whether it keeps anybody out; otherwise it only warns
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = parse_bool
    )]
    enforced: Option<bool>,
}

/// Whether a change may keep its own sender out.
#[derive(Args)]
pub(super) struct Confirm {
    /// Make the change even if the address that it comes from would not get in any more
    #[arg(long)]
    confirm_lockout: bool,
}

impl Confirm {
    fn of(&self, call: Call) -> Call {
        call.query("confirm_lockout", self.confirm_lockout.then(|| "true".to_owned()))
    }
}

impl Bound {
    fn fields(self) -> [(&'static str, Option<Value>); 2] {
        let policies: Vec<_> = self.policies.into_iter().map(Value::String).collect();
        let policies = (!policies.is_empty()).then_some(Value::Array(policies));
        [("ip_policy_ids", policies), ("enforced", self.enforced.map(Value::Bool))]
    }
}

fn notes(notes: Notes) -> [(&'static str, Option<Value>); 2] {
    [("description", text(notes.description)), ("metadata", text(notes.metadata))]
}

impl Policies {
    pub(super) fn call(self) -> Call {
        const PATH: &str = "/ip_policies";
        match self {
            Self::Create(given) => Call::new(Method::Post, PATH).body(notes(given)),
            Self::Delete(id) => Call::item(Method::Delete, PATH, &id.id),
            Self::Get(id) => Call::item(Method::Get, PATH, &id.id),
            Self::List(filtered) => filtered.of(Call::new(Method::Get, PATH)),
            Self::Update { id, notes: given } => Call::item(Method::Patch, PATH, &id.id).body(notes(given)),
        }
    }
}

impl Rules {
    pub(super) fn call(self) -> Call {
        const PATH: &str = "/ip_policy_rules";
        match self {
            Self::Create { cidr, ip_policy_id, action, notes: given, confirm } => {
                let [description, metadata] = notes(given);
                let (policy, action) = (("ip_policy_id", text(ip_policy_id)), ("action", text(action)));
                let body = [("cidr", text(cidr)), policy, action, description, metadata];
                confirm.of(Call::new(Method::Post, PATH).body(body))
            }
            Self::Delete { id, confirm } => confirm.of(Call::item(Method::Delete, PATH, &id.id)),
            Self::Get(id) => Call::item(Method::Get, PATH, &id.id),
            Self::List(filtered) => filtered.of(Call::new(Method::Get, PATH)),
            Self::Update { id, cidr, notes: given, confirm } => {
                let [description, metadata] = notes(given);
                let body = [("cidr", text(cidr)), description, metadata];
                confirm.of(Call::item(Method::Patch, PATH, &id.id).body(body))
            }
        }
    }
}

impl Restrictions {
    pub(super) fn call(self) -> Call {
        const PATH: &str = "/ip_restrictions";
        match self {
            Self::Create { kind, bound, notes: given, confirm } => {
                let ([policies, enforced], [description, metadata]) = (bound.fields(), notes(given));
                let body = [("type", text(kind)), policies, enforced, description, metadata];
                confirm.of(Call::new(Method::Post, PATH).body(body))
            }
            Self::Delete { id, confirm } => confirm.of(Call::item(Method::Delete, PATH, &id.id)),
            Self::Get(id) => Call::item(Method::Get, PATH, &id.id),
            Self::List(filtered) => filtered.of(Call::new(Method::Get, PATH)),
            Self::Update { id, bound, notes: given, confirm } => {
                let ([policies, enforced], [description, metadata]) = (bound.fields(), notes(given));
                let body = [policies, enforced, description, metadata];
                confirm.of(Call::item(Method::Patch, PATH, &id.id).body(body))
            }
        }
    }
}
