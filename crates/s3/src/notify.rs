//! Telling what happened: kept in the commit of what happened, then handed to the outbox.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use hearth_delivery::{Delivery, Kind, Outbox, Parcel, Retry, Sender, Source, Target};
use hearth_sqs::Attributes;
use hearth_store::{Precondition, Write};
use hearth_types::limits::S3_NOTICE_AGE_MS;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::error;

use crate::S3;
use crate::access::bucket_arn;
use crate::error::S3Error;
use crate::happening::{Doing, Happening, Occasion, Scene};
use crate::notifications::{Hearer, Notifications, Rule};
use crate::records::Bucket;
use crate::route::Call;
use crate::state::put;
use crate::versions::{Chain, Plan};

/// The prefix of what happened and is not with the outbox yet.
const NOTICES: &str = "s3-notice/";
const PRINCIPAL: &str = "s3.amazonaws.com";

/// Something to send, as it is kept until the outbox has it.
#[derive(Serialize, Deserialize)]
struct Notice {
    lane: String,
    delivery: Delivery,
    body: String,
}

impl Call {
    /// What is asked for, where it may lead to an event.
    pub(crate) fn occasion(&self, doing: Doing) -> Occasion {
        Occasion {
            doing,
            principal: self.caller.user_id().to_owned(),
            address: self.origin.address.clone(),
            request_id: self.origin.request_id.clone(),
            trace: self.headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok()).map(str::to_owned),
        }
    }
}

impl S3 {
    /// From now on what happens is told by this outbox; and what an earlier process has not told.
    ///
    /// # Errors
    /// When the store or the queues cannot be used.
    pub async fn tell_by(&self, outbox: &Arc<Outbox>) -> Result<(), String> {
        self.outbox.get_or_init(|| Arc::downgrade(outbox));
        let waiting = self.all::<Vec<Notice>>(NOTICES).await.map_err(|cause| cause.to_string())?;
        for (rest, notices) in waiting {
            self.hand_over(format!("{NOTICES}{rest}"), notices.record).await?;
        }
        Ok(())
    }

    /// The write that keeps what is to be told of a change; none where nobody wants to hear.
    pub(crate) fn notice(
        &self,
        bucket: &str,
        record: &Bucket,
        key: &str,
        occasion: &Occasion,
        (chain, plan): (&Chain, &Plan),
    ) -> Result<Option<Write>, S3Error> {
        let Notifications { event_bridge, .. } = record.notifications;
        let now_ms = self.now_ms();
        let Some(happening) = Happening::of(occasion, key, chain, plan, now_ms) else { return Ok(None) };
        let owner = self.owner();
        let (region, account) = (self.region(), &*self.parts.place.account);
        let scene = Scene { region, account, owner: &owner, bucket, now_ms };
        let mut notices: Vec<Notice> = happening
            .heard_by(&record.notifications)
            .map(|rule| self.to(bucket, rule, occasion.trace.clone(), happening.event(&scene, rule).to_string()))
            .collect();
        if event_bridge {
            let (detail_type, detail) = happening.detail(&scene);
            let target = Target::Bus {
                arn: format!("arn:aws:events:{region}:{account}:event-bus/default"),
                source: "aws.s3".to_owned(),
                detail_type: detail_type.to_owned(),
                resources: vec![bucket_arn(bucket)],
            };
            notices.push(notice(bucket, "event-bridge", target, occasion.trace.clone(), detail.to_string()));
        }
        if notices.is_empty() {
            return Ok(None);
        }
        put(format!("{NOTICES}{}", uuid::Uuid::new_v4()), &notices, Precondition::Any).map(Some)
    }

    fn to(&self, bucket: &str, rule: &Rule, trace: Option<String>, body: String) -> Notice {
        notice(bucket, &rule.id, target(&rule.hearer), trace, body)
    }

    /// Hands over what has been kept, beside what the caller goes on with. What a crash leaves is handed over at the next
    /// start, and may then be told twice.
    pub(crate) fn tell(self: &Arc<Self>, kept: Write) {
        let hearth_store::Operation::Put(value) = kept.operation else { return };
        let s3 = Arc::clone(self);
        // A clock that is moved by hand waits for what is told.
        let busy = self.outbox.get().and_then(Weak::upgrade).map(|outbox| outbox.busy());
        tokio::spawn(async move {
            let handed = match serde_json::from_slice::<Vec<Notice>>(&value) {
                Ok(notices) => s3.hand_over(kept.key, notices).await,
                Err(cause) => Err(cause.to_string()),
            };
            if let Err(cause) = handed {
                error!("S3: what happened is told at the next start: {cause}");
            }
            drop(busy);
        });
    }

    async fn hand_over(&self, key: String, notices: Vec<Notice>) -> Result<(), String> {
        let outbox = self.outbox.get().and_then(Weak::upgrade).ok_or("there is no outbox")?;
        let parcels = notices.into_iter().map(|Notice { lane, delivery, body }| Parcel {
            lane,
            delivery,
            body: Bytes::from(body),
        });
        outbox.post(parcels.collect()).await.map_err(|cause| cause.to_string())?;
        let gone = self.parts.store.commit(vec![Write::delete(key, Precondition::Any)]).await;
        gone.map(|_| ()).map_err(|cause| cause.to_string())
    }

    /// Asks whether all who are to hear are there, and let the bucket tell them; those that are new get a test event.
    pub(crate) async fn introduce(&self, call: &Call, bucket: &str, new: &Notifications) -> Result<(), S3Error> {
        let Some(outbox) = self.outbox.get().and_then(Weak::upgrade) else {
            return Err(S3Error::internal("asking who is to hear", "there is no outbox"));
        };
        let skips = call.headers.get("x-amz-skip-destination-validation").is_some_and(|value| value == "true");
        for rule in new.rules.iter().filter(|_| !skips) {
            let delivery = notice(bucket, &rule.id, target(&rule.hearer), None, String::new()).delivery;
            outbox.check(&delivery).await.map_err(|failure| {
                S3Error::invalid_argument(
                    "Unable to validate the following destination configurations",
                    rule.hearer.arn(),
                    &failure.message,
                )
            })?;
        }
        let time = jiff::Timestamp::from_millisecond(self.now_ms()).unwrap_or_default();
        let test = json!({
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": format!("{time:.3}"),
            "Bucket": bucket,
            "RequestId": call.origin.request_id,
            "HostId": "hearth",
        });
        let hearers = new.rules.iter().filter(|rule| !matches!(rule.hearer, Hearer::Function(_)));
        let parcels = hearers.map(|rule| {
            let Notice { lane, delivery, body } = self.to(bucket, rule, None, test.to_string());
            Parcel { lane, delivery, body: Bytes::from(body) }
        });
        outbox.post(parcels.collect()).await.map_err(|cause| S3Error::internal("sending a test event", cause))
    }
}

fn target(hearer: &Hearer) -> Target {
    match hearer {
        Hearer::Function(arn) => Target::Function { arn: arn.clone() },
        Hearer::Queue(arn) => Target::queue(arn, Attributes::new()),
        Hearer::Topic(arn) => Target::Topic {
            arn: arn.clone(),
            subject: Some("Amazon S3 Notification".to_owned()),
            attributes: Attributes::new(),
            group: None,
            deduplication: None,
        },
    }
}

fn notice(bucket: &str, rule: &str, target: Target, trace: Option<String>, body: String) -> Notice {
    let arn = bucket_arn(bucket);
    Notice {
        lane: format!("bucket/{bucket}/{rule}"),
        delivery: Delivery {
            source: Source { kind: Kind::Bucket, arn: arn.clone() },
            sender: Sender::Service { principal: PRINCIPAL.to_owned(), source_arn: arn },
            target,
            retry: Retry { attempts: u32::MAX, age_ms: S3_NOTICE_AGE_MS, pause_ms: None },
            dead_letter: None,
            trace,
            since_ms: 0,
            attempts: 0,
        },
        body,
    }
}
