//! The services beside Lambda: a request is read by its protocol and answered by the table of its service, a file each.

mod autoscaling;
mod events;
mod iam;
mod logs;
mod scheduler;
mod sns;
mod sqs;
mod ssm;
mod sts;

use std::sync::Arc;

use bytes::Bytes;
use hearth_api::error::{Kind, NOT_IMPLEMENTED};
use hearth_api::{Addressed, ApiError, Call, ErrorFormat, Form, Protocol, Service, ServiceOperation, Style};
use hearth_http::{BodyError, RequestBody, ResponseBody, read_body};
use hearth_identity::Caller;
use hearth_identity::sigv4::Dialect;
use hearth_types::RequestId;
use hearth_types::limits::{BODY_TIMEOUT, NEIGHBOUR_BODY_BYTES, UPSTREAM_BODY_BYTES};
use http::request::Parts;
use http::{Response, header};

use crate::gateway::{Arrival, Gateway, REQUEST_TIMEOUT, unsupported_encoding};
use crate::operate::endpoint;

/// A request to a service beside Lambda, read.
struct Request<'a> {
    id: RequestId,
    head: &'a Parts,
    addressed: &'a Addressed<'a>,
    body: Bytes,
    /// Where the operation is named in a form.
    form: Option<Form>,
    caller: Arc<Caller>,
}

/// What a service is asked.
struct Asked<'a, O> {
    operation: O,
    call: Call<O>,
    caller: &'a Caller,
    id: RequestId,
    /// Whether it came as a form.
    is_form: bool,
}

/// Takes the input of the operation that was asked for, runs its line and writes what it gives.
macro_rules! answer {
    ($protocol:ident $asked:ident; $($operation:ident($input:ident) => $output:expr,)* $(; $other:ident => $error:expr)?) => {
        match $asked.operation {
            $(Operation::$operation => {
                let $input = $asked.call.input::<ops::$operation>()?;
                Ok(answer!(@$protocol ops::$operation, &$output.await?, $asked))
            })*
            $($other => Err($error),)?
        }
    };
    (@xml $operation:ty, $output:expr, $asked:ident) => { hearth_api::encode_xml::<$operation>($output, $asked.id) };
    (@json $operation:ty, $output:expr, $asked:ident) => { hearth_api::encode_json::<$operation>($output) };
    (@either $operation:ty, $output:expr, $asked:ident) => {
        if $asked.is_form {
            hearth_api::encode_older_xml::<$operation>($output, $asked.id)
        } else {
            hearth_api::encode_json::<$operation>($output)
        }
    };
}

use answer;

impl Gateway {
    /// Answers a request to any service but Lambda and S3.
    pub(crate) async fn neighbour(
        &self,
        arrival: Arrival<'_>,
        addressed: &Addressed<'_>,
        body: RequestBody,
    ) -> Response<ResponseBody> {
        let id = arrival.id;
        let named = addressed.service.as_deref();
        let in_style = |service: &str, error: ApiError| {
            error.response_in(ErrorFormat::of_style(addressed.style, service), id).map(ResponseBody::from)
        };
        if let Some(service) = named.filter(|service| self.upstreams.has(service)) {
            let sent = self.send_on(arrival, addressed, service, body).await;
            return sent.unwrap_or_else(|error| in_style(service, error));
        }
        let request = match self.read(arrival, addressed, body).await {
            Ok(request) => request,
            Err(error) => return in_style(named.unwrap_or_default(), error),
        };
        let of_form = || Addressed::service_of_version(request.form.as_ref()?.parameter("Version")?);
        let service = named.or_else(of_form).unwrap_or_default();
        match service {
            other if self.upstreams.has(other) => {
                let body = request.body.clone();
                let sent = self.upstreams.send(arrival.head, addressed, other, &request.caller, body).await;
                sent.unwrap_or_else(|error| in_style(other, error))
            }
            "iam" => answered(&request, |asked| self.iam(asked)).await,
            "sts" => answered(&request, |asked| self.sts(asked)).await,
            "ssm" => answered(&request, |asked| self.ssm(asked)).await,
            "sns" => {
                let trace = arrival.head.headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok());
                let trace = trace.map(str::to_owned);
                answered(&request, |asked| async { self.sns(asked, trace).await }).await
            }
            "sqs" => {
                let at = endpoint(&arrival.head.headers);
                answered(&request, |asked| async { self.sqs(asked, &at).await }).await
            }
            "logs" => answered(&request, |asked| self.logs(asked)).await,
            "events" => answered(&request, |asked| self.eventbridge(asked)).await,
            "scheduler" => answered(&request, |asked| self.scheduler(asked)).await,
            "application-autoscaling" => answered(&request, |asked| self.autoscaling(asked)).await,
            other => in_style(other, unknown_service(other)),
        }
    }

    async fn send_on(
        &self,
        arrival: Arrival<'_>,
        addressed: &Addressed<'_>,
        service: &str,
        body: RequestBody,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let dialect = dialect(addressed);
        let visitor = self.visitor(arrival, service, dialect).await?;
        let _place = arrival.way.room.take(&body, UPSTREAM_BODY_BYTES).await?;
        let body = read_body(body, UPSTREAM_BODY_BYTES, BODY_TIMEOUT).await.map_err(|error| body_error(&error))?;
        let caller = visitor.admit(&body).map_err(|cause| cause.error(dialect))?;
        self.upstreams.send(arrival.head, addressed, service, &caller, body).await
    }

    async fn read<'a>(
        &self,
        arrival: Arrival<'a>,
        addressed: &'a Addressed<'a>,
        body: RequestBody,
    ) -> Result<Request<'a>, ApiError> {
        let head = arrival.head;
        if let Some(encoding) = head.headers.get(header::CONTENT_ENCODING) {
            return Err(unsupported_encoding(encoding));
        }
        let dialect = dialect(addressed);
        let visitor = self.visitor(arrival, addressed.service.as_deref().unwrap_or_default(), dialect).await?;
        let _place = arrival.way.room.take(&body, NEIGHBOUR_BODY_BYTES).await?;
        let body = read_body(body, NEIGHBOUR_BODY_BYTES, BODY_TIMEOUT).await.map_err(|error| body_error(&error))?;
        let caller = visitor.admit(&body).map_err(|cause| cause.error(dialect))?;
        let form = match addressed.style {
            Style::Form if body.is_empty() => Some(Form::parse(head.uri.query().unwrap_or_default().as_bytes())?),
            Style::Form => Some(Form::parse(&body)?),
            Style::Target(_) | Style::Cbor | Style::Path => None,
        };
        let form = form.map(|form| form.at_queue(head.uri.path()));
        Ok(Request { id: arrival.id, head, addressed, body, form, caller })
    }
}

/// Reads the call of a service's operation, has it answered, and writes what goes wrong as the service does.
async fn answered<'a, O, F, B>(
    request: &'a Request<'_>,
    answer: impl FnOnce(Asked<'a, O>) -> F,
) -> Response<ResponseBody>
where
    O: ServiceOperation,
    F: Future<Output = Result<Response<B>, ApiError>>,
    B: Into<ResponseBody>,
{
    let outcome = match call(request) {
        Ok(call) => {
            let (caller, is_form) = (&*request.caller, request.form.is_some());
            answer(Asked { operation: call.operation, call, caller, id: request.id, is_form }).await
        }
        Err(error) => Err(error),
    };
    let service = O::service();
    match outcome {
        Ok(response) => response.map(Into::into),
        Err(error) => {
            let format = match &request.form {
                Some(_) => ErrorFormat::of_form(service),
                None => ErrorFormat::of_service(service),
            };
            error.of(service).response_in(format, request.id).map(ResponseBody::from)
        }
    }
}

fn call<O: ServiceOperation>(request: &Request<'_>) -> Result<Call<O>, ApiError> {
    match (&request.form, request.addressed.target) {
        (Some(form), _) => Call::from_form(form),
        (None, Some(target)) => Call::from_json(target, request.body.clone()),
        (None, None) if O::service().protocol == Protocol::RestJson => {
            Call::from_path(request.head, request.body.clone())
        }
        (None, None) => Err(no_operation(O::service())),
    }
}

fn dialect(addressed: &Addressed<'_>) -> Dialect {
    if addressed.style == Style::Form { Dialect::Query } else { Dialect::Json }
}

pub(crate) fn body_error(error: &BodyError) -> ApiError {
    match error {
        BodyError::TooLarge { limit } => {
            ApiError::request_entity_too_large(format!("Request must be smaller than {limit} bytes"))
        }
        BodyError::TooSlow(_) | BodyError::Broken(_) => {
            ApiError::new(&REQUEST_TIMEOUT, format!("The request did not arrive whole: {error}"))
        }
    }
}

fn no_operation(service: &Service) -> ApiError {
    static MISSING_ACTION: Kind = Kind { code: "MissingAction", status: 400, ..hearth_api::error::VALIDATION };
    ApiError::new(&MISSING_ACTION, format!("The request names no operation of {}.", service.id))
}

/// For a service that is not here: said by name, never answered as if it were.
fn unknown_service(service: &str) -> ApiError {
    let shown: String = service.chars().take(64).collect();
    let named =
        if shown.is_empty() { "the service of this request".to_owned() } else { format!("the service {shown}") };
    ApiError::new(
        &NOT_IMPLEMENTED,
        format!(
            "Hearth does not have {named}: it has lambda, s3, sqs, sns, events, scheduler, application-autoscaling, iam, sts, ssm and logs; --upstream sends others on."
        ),
    )
}
