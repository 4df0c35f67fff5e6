use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "error_code": "ERR_NGROK_24005",
    "status_code": 400,
    "msg": "Secret names must be unique within a vault.",
    "details": {"operation_id": "op_2RfSBcv0nsy71XCHWOegjx1OoKh"}
}))]
pub struct Error {
    /// ngrok's code; empty where ngrok has none. The Rust SDK needs the field to be there.
    pub error_code: String,
    /// The HTTP status again: the Go SDK reads it here.
    pub status_code: u16,
    /// What happened and what to do.
    pub msg: String,
    /// The operation's id, or the path that there is nothing at.
    pub details: BTreeMap<String, String>,
}
