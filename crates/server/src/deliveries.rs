//! What the outbox sends, taken to this server's own services.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use hearth_access::Access;
use hearth_client::Client;
use hearth_clock::Clock;
use hearth_delivery::{Delivery, Failure, Kind, Outcome, Sender, Target, Targets, Way};
use hearth_events::Events;
use hearth_frontend::url::trace_id_of_event;
use hearth_identity::policy::{self, Context, Document, Principal};
use hearth_identity::session::Session;
use hearth_identity::{Caller, Rights};
use hearth_logs::LogStore;
use hearth_metrics::Metrics;
use hearth_rules::{Event, Rules};
use hearth_s3::S3;
use hearth_sns::{Publication, Refused, Sns};
use hearth_sqs::{Letter, Sqs};
use hearth_store::{BoxFuture, MetadataStore, Step, typed};
use hearth_types::function::FunctionRecord;
use hearth_types::invoke::EventInvoke;
use hearth_types::keys::{self, Part};
use hearth_types::limits::{SNS_HTTP_ANSWER_BYTES, SNS_HTTP_PATIENCE};
use hearth_types::policy::Policy;
use hearth_types::{Place, RequestId};
use http::{Request, header};
use http_body_util::Full;
use uuid::Uuid;

use crate::deliveries_of_rules::{to_bus, to_log_group};

/// The services of this server.
pub(crate) struct OwnTargets {
    pub(crate) place: Place,
    pub(crate) access: Arc<Access>,
    pub(crate) metadata: Arc<dyn MetadataStore>,
    pub(crate) sqs: Arc<Sqs>,
    pub(crate) s3: Arc<S3>,
    /// For addresses outside.
    pub(crate) client: Client,
    pub(crate) logs: Arc<LogStore>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    /// These send by the outbox themselves, and come after it.
    pub(crate) events: OnceLock<Weak<Events>>,
    pub(crate) rules: OnceLock<Weak<Rules>>,
    pub(crate) sns: OnceLock<Weak<Sns>>,
}

impl OwnTargets {
    async fn caller(&self, sender: &Sender) -> Result<Caller, Failure> {
        let unknown = |cause: &dyn std::fmt::Display| {
            Failure::passing("INTERNAL_ERROR", format!("the role cannot be assumed: {cause}"))
        };
        let (role, name) = match sender {
            Sender::Function { name, role } => {
                let caller = self.access.of_function(role, name).await;
                return caller.map_err(|cause| unknown(&cause));
            }
            Sender::Role { arn, session } => (arn, session),
            Sender::Service { principal, source_arn } => return Ok(self.service(principal, source_arn)),
        };
        let role_id = self.access.role_id(role).await.map_err(|cause| unknown(&cause))?;
        let session = Session {
            role_arn: role.clone(),
            role_id,
            name: name.clone(),
            expires_s: i64::MAX,
            policy: None,
            function_arn: None,
        };
        self.access.of_session(&session, Context::default()).await.map_err(|cause| unknown(&cause))
    }

    /// A service may what the policy of its target lets it, whoever else may do what here.
    fn service(&self, principal: &str, source_arn: &str) -> Caller {
        let mut context = Context::default();
        context.set("aws:SourceArn", source_arn);
        context.set("aws:SourceAccount", &*self.place.account);
        let rights = Rights::By { identity: Vec::new(), session: None };
        Caller::new(Principal::Service(principal.to_owned()), principal, rights, context)
    }

    async fn may(&self, sender: &Sender, action: &str, arn: &str, policy: Option<&str>) -> Result<(), Failure> {
        let caller = self.caller(sender).await?;
        let policy = policy.and_then(|text| Document::parse(text, policy::Kind::Resource).ok());
        let denied = |denied: hearth_identity::AccessDenied| Failure::lasting("NO_PERMISSIONS", denied.to_string());
        caller.may(action, arn, policy.as_ref(), &[]).map_err(denied)
    }

    async fn function(&self, way: Way<'_>, arn: &str) -> Result<Step, Failure> {
        let gone = || Failure::lasting("NO_RESOURCE", format!("there is no function {arn}"));
        let target = self.place.resolve(arn, None).map_err(|_| gone())?;
        let record = typed::read::<FunctionRecord>(&*self.metadata, &keys::function(&target.name)).await;
        record.map_err(|cause| Failure::passing("INTERNAL_ERROR", cause.to_string()))?.ok_or_else(gone)?;
        let policy = self.policy_of(&target).await?;
        self.may(way.sender, "lambda:InvokeFunction", arn, policy.as_deref()).await?;
        let events = up(&self.events)?;
        let request_id = RequestId(Uuid::new_v4());
        Ok(events.step(EventInvoke {
            function: target.name,
            qualifier: target.qualifier,
            request_id,
            payload: way.body.clone(),
            trace_id: trace_id_of_event(way.trace, request_id, self.clock.now()),
            tenant: None,
        }))
    }

    /// `$LATEST` by its name has none.
    async fn policy_of(&self, target: &hearth_types::Target) -> Result<Option<String>, Failure> {
        let qualifier = target.qualifier.as_deref();
        if qualifier == Some("$LATEST") {
            return Ok(None);
        }
        let key = Part::Policy.key(&target.name, qualifier.unwrap_or("$LATEST"));
        let policy = typed::read::<Policy>(&*self.metadata, &key).await;
        let policy = policy.map_err(|cause| Failure::passing("INTERNAL_ERROR", cause.to_string()))?;
        Ok(policy.map(|found| found.record.document()))
    }

    async fn queue(&self, way: Way<'_>, arn: &str, letter: Letter) -> Result<Step, Failure> {
        let found = self.sqs.letter(arn, letter).await;
        let found = found.map_err(|error| match error.kind.status {
            500.. => Failure::passing("INTERNAL_ERROR", error.to_string()),
            // What the queue does not take now it never does: too large, or without a group.
            _ => Failure::lasting("INVALID_PARAMETER", error.to_string()),
        })?;
        let Some((step, policy)) = found else {
            return Err(Failure::lasting("NO_RESOURCE", format!("there is no queue {arn}")));
        };
        self.may(way.sender, "sqs:SendMessage", arn, policy.as_deref()).await.map(|()| step)
    }

    async fn bus(&self, way: Way<'_>, arn: &str, event: Event) -> Result<(), Failure> {
        let caller = self.caller(way.sender).await?;
        // S3's own events come to the bus of the account whatever its policy says.
        let is_of_s3 = matches!(way.sender, Sender::Service { principal, .. } if principal == "s3.amazonaws.com");
        to_bus(&*up(&self.rules)?, Some(&caller).filter(|_| !is_of_s3), arn, event).await
    }

    async fn object(&self, way: Way<'_>, bucket: &str, key: &str) -> Result<(), Failure> {
        let caller = Arc::new(self.caller(way.sender).await?);
        let request = Request::put(format!("/{bucket}/{key}"))
            .header(header::HOST, "s3")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, way.body.len())
            .body(Full::new(Bytes::clone(way.body)))
            .map_err(|cause| Failure::lasting("INVALID_PARAMETER", cause.to_string()))?;
        let response = self.s3.handle(&Uuid::new_v4().to_string(), caller, request).await;
        if response.status().is_success() {
            return Ok(());
        }
        // The bucket may be made, and the role be allowed to, as long as it is tried.
        Err(Failure::passing("SDK_CLIENT_ERROR", format!("PutObject answers {}", response.status())))
    }
}

impl OwnTargets {
    async fn topic(&self, way: Way<'_>, arn: &str, publication: Publication) -> Result<(), Failure> {
        let caller = self.caller(way.sender).await?;
        up(&self.sns)?.publish_for(&caller, arn, publication).await.map_err(|refused| match refused {
            Refused::Lasting(text) => Failure::lasting("SDK_CLIENT_ERROR", text),
            Refused::Passing(text) => Failure::passing("INTERNAL_ERROR", text),
        })
    }

    /// Taken is what is answered by a status of 200 to 299; any other may be another one later.
    async fn post(&self, way: Way<'_>, url: &str, headers: &[(String, String)]) -> Result<(), Failure> {
        let mut request = Request::post(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::clone(way.body)));
        let request = request.map_err(|cause| Failure::lasting("INVALID_PARAMETER", cause.to_string()))?;
        let sent = self.client.send(request, SNS_HTTP_PATIENCE).await;
        let answer = sent.map_err(|cause| Failure::passing("SDK_CLIENT_ERROR", cause.to_string()))?;
        let status = answer.status();
        // Read, so that the connection can be used again; what it says does not matter.
        let _ = tokio::time::timeout(SNS_HTTP_PATIENCE, hearth_client::whole(answer, SNS_HTTP_ANSWER_BYTES)).await;
        if status.is_success() {
            return Ok(());
        }
        Err(Failure::passing("SDK_CLIENT_ERROR", format!("the endpoint answers {status}")))
    }
}

fn up<T>(part: &OnceLock<Weak<T>>) -> Result<Arc<T>, Failure> {
    let up = part.get().and_then(Weak::upgrade);
    up.ok_or_else(|| Failure::passing("INTERNAL_ERROR", "the server is starting or stopping"))
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}

impl Targets for OwnTargets {
    fn place<'a>(&'a self, way: Way<'a>) -> BoxFuture<'a, Result<Option<Step>, Failure>> {
        Box::pin(async move {
            match way.target {
                Target::Function { arn } => self.function(way, arn).await.map(Some),
                Target::Queue { arn, attributes, group, deduplication } => {
                    let letter = Letter {
                        body: way.body.clone(),
                        attributes: attributes.clone(),
                        trace: way.trace.map(str::to_owned),
                        group: group.clone(),
                        deduplication: deduplication.clone(),
                    };
                    self.queue(way, arn, letter).await.map(Some)
                }
                Target::Topic { .. }
                | Target::Bus { .. }
                | Target::LogGroup { .. }
                | Target::Object { .. }
                | Target::Http { .. } => Ok(None),
            }
        })
    }

    fn check<'a>(&'a self, way: Way<'a>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            match way.target {
                Target::Topic { arn, .. } => {
                    let caller = self.caller(way.sender).await?;
                    let may = up(&self.sns)?.may_publish(&caller, arn).await;
                    may.map_err(|error| Failure::lasting("NO_PERMISSIONS", error.to_string()))
                }
                _ => self.place(way).await.map(|_| ()),
            }
        })
    }

    fn placed(&self, target: &Target) {
        match target {
            Target::Function { arn } => {
                if let (Ok(target), Ok(events)) = (self.place.resolve(arn, None), up(&self.events)) {
                    events.arrived(&target.name);
                }
            }
            Target::Queue { arn, .. } => self.sqs.posted(arn),
            _ => {}
        }
    }

    fn deliver<'a>(&'a self, way: Way<'a>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            match way.target {
                Target::Object { bucket, key } => self.object(way, bucket, key).await,
                Target::Bus { arn, source, detail_type, resources } => {
                    let mut event =
                        Event::new(source, detail_type, self.clock.now_ms().div_euclid(1000), text(way.body));
                    event.resources.clone_from(resources);
                    event.trace = way.trace.map(str::to_owned);
                    self.bus(way, arn, event).await
                }
                Target::LogGroup { arn } => {
                    let now_ms = self.clock.now_ms();
                    to_log_group(&self.logs, &self.place, arn, now_ms, way.body.clone()).await
                }
                Target::Topic { arn, subject, attributes, group, deduplication } => {
                    let message = text(way.body);
                    let publication = Publication {
                        message,
                        subject: subject.clone(),
                        structure: None,
                        attributes: attributes.clone(),
                        group: group.clone(),
                        deduplication: deduplication.clone(),
                        trace: way.trace.map(str::to_owned),
                    };
                    self.topic(way, arn, publication).await
                }
                Target::Http { url, headers } => self.post(way, url, headers).await,
                other => {
                    Err(Failure::lasting("NO_RESOURCE", format!("this server has no service for {}", other.shown())))
                }
            }
        })
    }
    fn ended(&self, delivery: &Delivery, outcome: Outcome) {
        let is_lost = matches!(outcome, Outcome::Dropped | Outcome::DeadLettered);
        let Sender::Function { name, .. } = &delivery.sender else { return };
        match delivery.source.kind {
            Kind::Destination if is_lost => self.metrics.function(name).destination_failures.count(),
            Kind::DeadLetter if is_lost => self.metrics.function(name).dead_letter_errors.count(),
            _ => {}
        }
    }
}
