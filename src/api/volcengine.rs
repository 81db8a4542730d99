//! Volcengine's visual API, and jimeng-relay's aliases of its two main actions.

use poem::Request;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Query};

use super::Tag;
use super::error::{ApiError, Code};
use super::guard::{Authorized, Raw, ToRelay};
use super::params::{ActionParam, VersionParam};
use super::relayed::{Named, Relayed, relay};
use super::schema::{VolcengineReply, VolcengineRequest};
use crate::model::call::Delivery;
use crate::model::caller::Caller;
use crate::model::control::{self, ScanError};
use crate::model::operation::{Class, Operation};
use crate::model::query;

/// The routes of Volcengine's visual API.
pub struct VolcengineApi;

#[OpenApi(tag = "Tag::Volcengine")]
impl VolcengineApi {
    /// Relay a visual API action
    ///
    /// What Volcengine's own SDKs call. `Action` names the operation and decides its class: submits and `CVProcess` are
    /// paid, written down before they are sent, and never sent twice under one `Idempotency-Key`.
    #[oai(path = "/", method = "post", operation_id = "volcengine_call")]
    async fn volcengine(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Raw<VolcengineRequest>>,
        /// What is asked. Other actions are answered with 404.
        #[oai(name = "Action")]
        action: Query<ActionParam>,
        /// The action's version: 2022-08-31, for `CVCancelTask` 2024-06-06.
        #[oai(name = "Version")]
        version: Query<VersionParam>,
        /// Makes a paid call safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Relayed<VolcengineReply>, ApiError> {
        // The document's parameters never fail: the raw query and header are what is signed and checked.
        let _ = (action, version, idempotency_key);
        let operation = operation(request.original_uri().query().unwrap_or_default())?;
        relay(request, authorized, operation).await.map(Relayed::new)
    }

    /// Submit a task
    ///
    /// The same as `Action=CVSync2AsyncSubmitTask`.
    #[oai(path = "/v1/submit", method = "post", operation_id = "volcengine_submit")]
    async fn submit(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Raw<VolcengineRequest>>,
        /// Makes the submit safe to repeat for 24 hours: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
    ) -> Result<Relayed<VolcengineReply>, ApiError> {
        let _ = idempotency_key;
        relay(request, authorized, Operation::Sync2AsyncSubmitTask)
            .await
            .map(Relayed::new)
    }

    /// Fetch a task's result
    ///
    /// The same as `Action=CVSync2AsyncGetResult`. Free; only for the owner of the task.
    #[oai(path = "/v1/get-result", method = "post", operation_id = "volcengine_getResult")]
    async fn get_result(
        &self,
        request: &Request,
        authorized: Authorized<ToRelay, Raw<VolcengineRequest>>,
    ) -> Result<Relayed<VolcengineReply>, ApiError> {
        relay(request, authorized, Operation::Sync2AsyncGetResult)
            .await
            .map(Relayed::new)
    }
}

/// The operation that a query string names, each name at most once in any spelling.
pub(super) fn operation(raw_query: &str) -> Result<Operation, ApiError> {
    let single = |name: &'static str| {
        let repeated = |_| ApiError::validation(format!("{name} must stand in the query exactly once")).about(name);
        query::single(raw_query, name).map_err(repeated)
    };
    let (action, version) = (single("Action")?, single("Version")?);
    let action = action.ok_or_else(|| ApiError::new(Code::NotFound, "name an Action in the query").about("Action"))?;
    let unknown = || ApiError::new(Code::NotFound, "this Action is not relayed").about("Action");
    let operation = Operation::from_action(&action).ok_or_else(unknown)?;
    match version.as_deref() {
        Some(version) if version == operation.version() => Ok(operation),
        _ => Err(ApiError::validation(format!("{action} has Version {}", operation.version())).about("Version")),
    }
}

/// The model and the task that a body names, as every parser upstream will see them.
///
/// A body that is not JSON passes where nothing of it is checked: it is the upstream's to refuse.
pub(super) fn named(operation: Operation, caller: &Caller, body: &[u8]) -> Result<Named, ApiError> {
    let checked = operation.class() == Class::Query || caller.models.is_some();
    let control = match control::scan(body) {
        Ok(control) => control,
        Err(ScanError::NotJson { .. } | ScanError::NotAnObject) if !checked => return Ok(Named::default()),
        Err(error) => return Err(ApiError::validation(error.to_string())),
    };
    let model = control
        .req_key
        .as_ref()
        .and_then(|field| field.value.as_text())
        .map(str::to_owned);
    let task_id = control.task_id.as_ref().map(|field| field.value.to_string());
    if caller.models.is_some() && model.is_none() {
        return Err(ApiError::validation("this key may use some models only: name one").about("req_key"));
    }
    if operation.class() == Class::Query && task_id.as_deref().is_none_or(str::is_empty) {
        return Err(ApiError::validation("name the task").about("task_id"));
    }
    Ok(Named {
        model,
        task_id,
        delivery: Delivery::Whole,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_named_once_with_its_own_version() {
        assert!(matches!(
            operation("Action=CVProcess&Version=2022-08-31"),
            Ok(Operation::Process)
        ));
        assert!(matches!(
            operation("Action=CVCancelTask&Version=2024-06-06&x=1"),
            Ok(Operation::CancelTask)
        ));
        for (query, code) in [
            ("", Code::NotFound),
            ("Action=Nothing&Version=2022-08-31", Code::NotFound),
            ("Action=CVProcess", Code::ValidationFailed),
            ("Action=CVCancelTask&Version=2022-08-31", Code::ValidationFailed),
            (
                "Action=CVProcess&Action=CVProcess&Version=2022-08-31",
                Code::ValidationFailed,
            ),
            (
                "Action=CVProcess&action=CVSubmitTask&Version=2022-08-31",
                Code::ValidationFailed,
            ),
        ] {
            assert_eq!(operation(query).unwrap_err().code(), code, "{query}");
        }
    }
}
