//! Volcengine's visual API as its documents 85621/1817045, 1777001 and 1792710 describe it: four kinds of action at
//! `POST /?Action=…&Version=…`, one envelope for every answer of the service, another one for those of the gateway
//! before it.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::accounts::Refusal;
use super::call::Call;
use super::course::Ends;
use super::failure::{Failure, Moment};
use super::film;
use super::link::Link;
use super::manner::Manner;
use super::media::Medium;
use super::reply::{self, Reply};
use super::tasks::{Fate, State, Task};
use super::{Verification, World};

/// Answers `POST /`.
pub(super) fn answer(world: &World, call: &Call, manner: &Manner) -> Reply {
    if world.settings.verification == Verification::Checked
        && let Err(refusal) = world
            .accounts
            .check_signature(call, &world.settings.region, world.clock.wall())
    {
        return gateway_error(world, call, &GatewayError::from(refusal));
    }
    let Some(action) = Action::of(call) else {
        let text = "Could not find the operation for this version.";
        return gateway_error(
            world,
            call,
            &GatewayError(StatusCode::NOT_FOUND, 100_008, "InvalidActionOrVersion", text),
        );
    };
    let Ok(request) = serde_json::from_slice::<Wanted<'_>>(&call.body) else {
        return failure(world, call, &INVALID_INPUT);
    };
    let Some(req_key) = request.req_key.as_deref().filter(|req_key| !req_key.is_empty()) else {
        return failure(world, call, &ACCESS_DENIED);
    };
    match action {
        Action::Process => process(world, call, manner, &request),
        Action::Submit => submit(world, call, manner, &request, req_key),
        Action::Query => query(world, call, manner, &request, req_key),
        Action::Cancel => cancel(world, call, &request),
    }
}

/// An error told by [`super::Faults`]; without a code, the one that Volcengine sends with this status.
pub(super) fn error(world: &World, call: &Call, status: StatusCode, code: Option<u32>) -> Reply {
    let code = code.unwrap_or(match status.as_u16() {
        429 => 50430,
        500.. => 50500,
        _ => 50400,
    });
    let message = Failure::documented(code).map_or("told to fail", |known| known.message);
    let mut reply = failure(
        world,
        call,
        &Failure {
            code,
            status: 500,
            message,
            moment: Moment::Submit,
        },
    );
    *reply.status_mut() = status;
    reply
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Submit,
    Query,
    Process,
    Cancel,
}

impl Action {
    fn of(call: &Call) -> Option<Self> {
        let (action, version) = match call.query("Action")? {
            "CVSync2AsyncSubmitTask" | "CVSubmitTask" => (Self::Submit, "2022-08-31"),
            "CVSync2AsyncGetResult" | "CVGetResult" => (Self::Query, "2022-08-31"),
            "CVProcess" => (Self::Process, "2022-08-31"),
            "CVCancelTask" => (Self::Cancel, "2024-06-06"),
            _ => return None,
        };
        (call.head.method == Method::POST && call.query("Version") == Some(version)).then_some(action)
    }
}

/// The fields of any request that change the answer; everything else is skipped unread.
#[derive(Debug, Deserialize)]
struct Wanted<'a> {
    #[serde(borrow)]
    req_key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    task_id: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "given")]
    prompt: Option<String>,
    /// For films only.
    frames: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    image_urls: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    binary_data_base64: Option<Vec<String>>,
    /// For the synchronous action only.
    #[serde(default)]
    return_url: bool,
    /// A JSON text inside the JSON text, for the query only.
    #[serde(default, deserialize_with = "given")]
    req_json: Option<String>,
}

/// A field that is there has a value of its type: null is none.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Wanted<'_> {
    /// How many images it brings, by link and in base64.
    fn images(&self) -> usize {
        [&self.image_urls, &self.binary_data_base64]
            .into_iter()
            .flatten()
            .map(Vec::len)
            .sum()
    }
}

/// The part of `req_json` that changes the answer.
#[derive(Debug, Default, Deserialize)]
struct QueryOptions {
    #[serde(default)]
    return_url: bool,
}

fn submit(world: &World, call: &Call, manner: &Manner, request: &Wanted<'_>, req_key: &str) -> Reply {
    let doom = request.prompt.as_deref().and_then(Failure::asked_for);
    if let Some(now) = doom.filter(|doom| doom.moment == Moment::Submit) {
        return failure(world, call, now);
    }
    if !film::is_acceptable(req_key, request.frames, request.images()) {
        return failure(world, call, &INVALID_INPUT);
    }
    let id = world.tasks.add(Task {
        account: call.account.clone(),
        req_key: req_key.into(),
        submitted: world.clock.monotonic(),
        duration: manner.course.after.unwrap_or(world.settings.task_duration),
        fate: Fate::Runs(doom.map_or(manner.course.ends, |doom| Ends::Failed(doom.code))),
    });
    success(world, call, format_args!(r#"{{"task_id":"{id}"}}"#))
}

fn query(world: &World, call: &Call, manner: &Manner, request: &Wanted<'_>, req_key: &str) -> Reply {
    let id = request.task_id.as_deref().unwrap_or_default();
    let found = world.tasks.find(id, call.account.as_ref(), world.clock.monotonic());
    if found.as_ref().is_some_and(|(task, _)| *task.req_key != *req_key) {
        return failure(world, call, &ACCESS_DENIED);
    }
    let state = found.map_or(State::NotFound, |(_, state)| state);
    let status = state.word();
    match (state, Medium::of(req_key)) {
        (State::Failed(code), _) => failure(world, call, &Failure::told(code)),
        (State::Done, Medium::Film) => {
            let url = Link::new(world, manner, world.next_serial(), Medium::Film);
            success(
                world,
                call,
                format_args!(r#"{{"status":"done","video_url":"{url}","aigc_meta_tagged":false}}"#),
            )
        }
        (State::Done, Medium::Picture) => {
            let options = request.req_json.as_deref().map(serde_json::from_str::<QueryOptions>);
            match options.unwrap_or_else(|| Ok(QueryOptions::default())) {
                Ok(options) => {
                    let picture = Delivery::new(world, manner, options.return_url);
                    success(world, call, format_args!(r#"{{"status":"done",{picture}}}"#))
                }
                Err(_) => failure(world, call, &INVALID_INPUT),
            }
        }
        (_, Medium::Film) => success(
            world,
            call,
            format_args!(r#"{{"status":"{status}","video_url":"","aigc_meta_tagged":false}}"#),
        ),
        (_, Medium::Picture) => success(
            world,
            call,
            format_args!(r#"{{"status":"{status}","image_urls":null,"binary_data_base64":null}}"#),
        ),
    }
}

fn process(world: &World, call: &Call, manner: &Manner, request: &Wanted<'_>) -> Reply {
    if let Some(doom) = request.prompt.as_deref().and_then(Failure::asked_for) {
        return failure(world, call, doom);
    }
    let picture = Delivery::new(world, manner, request.return_url);
    success(
        world,
        call,
        format_args!(
            r#"{{"algorithm_base_resp":{{"status_code":0,"status_message":"Success"}},{picture},"infer_ctx":{{"algorithm_key":"sandbox","app_key":"","created_at":""}},"llm_result":"","pe_result":"","predict_tags_result":"","rephraser_result":"","vlm_result":""}}"#
        ),
    )
}

fn cancel(world: &World, call: &Call, request: &Wanted<'_>) -> Reply {
    let id = request.task_id.as_deref().unwrap_or_default();
    match world.tasks.cancel(id, call.account.as_ref(), world.clock.monotonic()) {
        Some(State::Cancelled) => success(world, call, format_args!(r#"{{"status":"cancelled"}}"#)),
        Some(State::InQueue | State::Generating | State::Done | State::Failed(_) | State::Expired) => {
            failure(world, call, &TOO_LATE)
        }
        Some(State::NotFound) | None => success(world, call, format_args!(r#"{{"status":"not_found"}}"#)),
    }
}

/// The two fields that deliver a picture: as a link if `return_url` asked for one, else in base64.
enum Delivery<'a> {
    Link(Link<'a>),
    Inline { base64: &'a str },
}

impl<'a> Delivery<'a> {
    fn new(world: &'a World, manner: &Manner, return_url: bool) -> Self {
        if return_url {
            Self::Link(Link::new(world, manner, world.next_serial(), Medium::Picture))
        } else {
            Self::Inline {
                base64: world.picture.base64(),
            }
        }
    }
}

impl fmt::Display for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => write!(f, r#""binary_data_base64":[],"image_urls":["{link}"]"#),
            Self::Inline { base64 } => write!(f, r#""binary_data_base64":["{base64}"],"image_urls":null"#),
        }
    }
}

/// The service's answer when all is well. `data` is JSON and holds nothing that a caller wrote.
fn success(world: &World, call: &Call, data: fmt::Arguments<'_>) -> Reply {
    envelope(world, call, StatusCode::OK, 10000, data, "Success")
}

/// The service's answer when something is not.
fn failure(world: &World, call: &Call, failure: &Failure) -> Reply {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    envelope(world, call, status, failure.code, format_args!("null"), failure.message)
}

fn envelope(
    world: &World,
    call: &Call,
    status: StatusCode,
    code: u32,
    data: fmt::Arguments<'_>,
    message: &str,
) -> Reply {
    let id = RequestId(world.next_serial());
    let elapsed = world.clock.monotonic().duration_since(call.arrived).as_nanos();
    let (millis, rest) = (elapsed / 1_000_000, elapsed % 1_000_000);
    let text = format!(
        r#"{{"code":{code},"data":{data},"message":"{message}","request_id":"{id}","status":{code},"time_elapsed":"{millis}.{rest:06}ms"}}"#
    );
    with_log_id(reply::json_text(status, text), id)
}

/// The gateway's answer: the call did not reach the service. HTTP status, `CodeN`, `Code` and message as in the list of
/// common error codes that Volcengine publishes.
struct GatewayError(StatusCode, u32, &'static str, &'static str);

impl From<Refusal> for GatewayError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => {
                let text = "Request is missing Authentication Token.";
                Self(StatusCode::UNAUTHORIZED, 100_003, "MissingAuthenticationToken", text)
            }
            Refusal::Expired => {
                let text = "The signature of the request is expired.";
                Self(StatusCode::BAD_REQUEST, 100_006, "InvalidTimestamp", text)
            }
            Refusal::UnknownKey => {
                let text = "The accesskey included in the request is invalid.";
                Self(StatusCode::UNAUTHORIZED, 100_009, "InvalidAccessKey", text)
            }
            Refusal::Mismatch => {
                let text = "The request signature we calculated does not match the signature you provided. Check your \
                            Secret Access Key and signing method. Consult the service documentation for details.";
                Self(StatusCode::UNAUTHORIZED, 100_010, "SignatureDoesNotMatch", text)
            }
        }
    }
}

fn gateway_error(world: &World, call: &Call, error: &GatewayError) -> Reply {
    let id = RequestId(world.next_serial());
    let GatewayError(status, code_n, code, message) = error;
    let body = json!({"ResponseMetadata": {
        "RequestId": id.to_string(),
        "Action": call.query("Action").unwrap_or_default(),
        "Version": call.query("Version").unwrap_or_default(),
        "Service": "cv",
        "Region": world.settings.region,
        "Error": {"CodeN": code_n, "Code": code, "Message": message},
    }});
    with_log_id(reply::json(*status, &body), id)
}

/// A request id of 32 digits, as Volcengine's look.
#[derive(Clone, Copy)]
struct RequestId(u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "20{:030}", self.0)
    }
}

fn with_log_id(mut reply: Reply, id: RequestId) -> Reply {
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        reply.headers_mut().insert(LOG_ID, value);
    }
    reply
}

/// The header by which Volcengine's support finds a call.
const LOG_ID: HeaderName = HeaderName::from_static("x-tt-logid");
/// Sent where `req_key` is missing, or is not the one the task was submitted with.
const ACCESS_DENIED: Failure = Failure::at_submit(50400, 400, "Access Denied: req_key");
/// Not in the documents: the older visual APIs answer so to a body they cannot read or take.
const INVALID_INPUT: Failure = Failure::at_submit(50215, 400, "Input invalid for this service.");
/// Not in the documents: what is known is only that a task cannot be cancelled once it runs.
const TOO_LATE: Failure = Failure::at_submit(50215, 400, "The task can no longer be cancelled.");
