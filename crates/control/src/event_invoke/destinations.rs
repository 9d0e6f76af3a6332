//! Where records of asynchronous invokes may go.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::{Place, Target};

use crate::{Control, invalid};

/// A destination, by its service.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Destination {
    /// A queue, a topic or an event bus.
    Taken,
    /// A function of this account.
    Function(Target),
    /// A bucket: for failures only.
    Bucket,
    /// Nothing that takes records.
    Other,
}

/// Takes an ARN apart that has passed the member's pattern.
fn destination(place: &Place, arn: &str) -> Destination {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        // Records have no group and no key for the order of a FIFO.
        ["arn", _, "sqs" | "sns", _, _, name] if !name.is_empty() && !name.ends_with(".fifo") => Destination::Taken,
        ["arn", _, "events", _, _, bus] if bus.starts_with("event-bus/") => Destination::Taken,
        ["arn", _, "lambda", _, _, function] if function.starts_with("function:") => match place.resolve(arn, None) {
            Ok(target) => Destination::Function(target),
            Err(_) => Destination::Other,
        },
        ["arn", _, "s3", _, _, bucket] if !bucket.is_empty() => Destination::Bucket,
        _ => Destination::Other,
    }
}

impl Control {
    /// Checks both sides of a DestinationConfig for the settings of `target`.
    pub(super) async fn check_destinations(
        &self,
        target: &Target,
        config: Option<&api::DestinationConfig>,
    ) -> Result<(), ApiError> {
        let Some(config) = config else { return Ok(()) };
        let success = config.on_success.as_ref().and_then(|side| side.destination.as_deref());
        let failure = config.on_failure.as_ref().and_then(|side| side.destination.as_deref());
        for (arn, takes_buckets) in [(success, false), (failure, true)] {
            let Some(arn) = arn.filter(|arn| !arn.is_empty()) else { continue };
            match destination(&self.parts.place, arn) {
                Destination::Taken => {}
                Destination::Bucket if takes_buckets => {}
                Destination::Function(other) if other.name == target.name => {
                    return Err(invalid("You can't specify the function as a destination for itself."));
                }
                Destination::Function(other) => {
                    if self.load(&other.name).await?.is_none() {
                        return Err(invalid(format!("The destination ARN {arn} is invalid.")));
                    }
                }
                Destination::Bucket | Destination::Other => return Err(unsupported(config)),
            }
        }
        Ok(())
    }
}

/// The service shows its own object (observed).
fn unsupported(config: &api::DestinationConfig) -> ApiError {
    let shown = |arn: Option<&String>| arn.map_or("null", String::as_str).to_owned();
    let success = config
        .on_success
        .as_ref()
        .map_or("null".to_owned(), |side| format!("OnSuccess(destination={})", shown(side.destination.as_ref())));
    let failure = config
        .on_failure
        .as_ref()
        .map_or("null".to_owned(), |side| format!("OnFailure(destination={})", shown(side.destination.as_ref())));
    invalid(format!(
        "The provided destination config DestinationConfig(onSuccess={success}, onFailure={failure}) is invalid."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_told_by_their_service() {
        let place = Place { region: "us-east-1".into(), account: "000000000000".into() };
        let of = |rest: &str| destination(&place, &format!("arn:aws:{rest}"));
        for taken in ["sqs:us-east-1:1:q", "sns:us-east-1:1:t", "events:us-east-1:1:event-bus/default"] {
            assert_eq!(of(taken), Destination::Taken, "{taken}");
        }
        let function = Target { name: "f".into(), qualifier: Some("live".into()) };
        assert_eq!(of("lambda:us-east-1:000000000000:function:f:live"), Destination::Function(function));
        assert_eq!(of("s3:::bucket"), Destination::Bucket);
        for other in [
            "sqs:us-east-1:1:q.fifo",
            "iam:us-east-1:1:function:f",
            "lambda:eu-west-1:000000000000:function:f",
            "lambda:us-east-1:111111111111:function:f",
            "lambda:us-east-1:000000000000:layer:l",
            "events:us-east-1:1:rule/r",
        ] {
            assert_eq!(of(other), Destination::Other, "{other}");
        }
    }

    #[test]
    fn the_refusal_shows_the_services_object() {
        let config = api::DestinationConfig {
            on_success: Some(api::OnSuccess { destination: Some("arn:x".into()) }),
            on_failure: None,
        };
        assert!(unsupported(&config).to_string().ends_with(
            "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:x), onFailure=null) \
             is invalid."
        ));
    }
}
