//! Between what the API shows of a function URL and what is kept. Pure.

use hearth_api::types as api;
use hearth_types::settings::{Cors, UrlAuth, UrlInvokeMode};

/// `2024-03-05T12:00:00.000Z`.
pub(super) fn date(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

pub(super) fn auth(given: api::FunctionUrlAuthType) -> UrlAuth {
    match given {
        api::FunctionUrlAuthType::None => UrlAuth::None,
        api::FunctionUrlAuthType::AwsIam => UrlAuth::AwsIam,
    }
}

pub(super) fn shown_auth(kept: UrlAuth) -> api::FunctionUrlAuthType {
    match kept {
        UrlAuth::None => api::FunctionUrlAuthType::None,
        UrlAuth::AwsIam => api::FunctionUrlAuthType::AwsIam,
    }
}

pub(super) fn invoke_mode(given: api::InvokeMode) -> UrlInvokeMode {
    match given {
        api::InvokeMode::Buffered => UrlInvokeMode::Buffered,
        api::InvokeMode::ResponseStream => UrlInvokeMode::ResponseStream,
    }
}

pub(super) fn shown_invoke_mode(kept: UrlInvokeMode) -> api::InvokeMode {
    match kept {
        UrlInvokeMode::Buffered => api::InvokeMode::Buffered,
        UrlInvokeMode::ResponseStream => api::InvokeMode::ResponseStream,
    }
}

/// None where no member is given: that takes what is set away.
pub(super) fn cors(given: api::Cors) -> Option<Cors> {
    let cors = Cors {
        allow_credentials: given.allow_credentials,
        allow_headers: given.allow_headers,
        allow_methods: given.allow_methods,
        allow_origins: given.allow_origins,
        expose_headers: given.expose_headers,
        max_age_s: given.max_age.and_then(|seconds| u32::try_from(seconds).ok()),
    };
    (cors != Cors::default()).then_some(cors)
}

pub(super) fn shown_cors(kept: Cors) -> api::Cors {
    api::Cors {
        allow_credentials: kept.allow_credentials,
        allow_headers: kept.allow_headers,
        allow_methods: kept.allow_methods,
        allow_origins: kept.allow_origins,
        expose_headers: kept.expose_headers,
        max_age: kept.max_age_s.and_then(|seconds| i32::try_from(seconds).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_empty_cors_are_as_the_service_has_them() {
        assert_eq!(date(1_709_640_000_007), "2024-03-05T12:00:00.007Z");
        assert_eq!(cors(api::Cors::default()), None);
        let given = api::Cors { max_age: Some(0), ..Default::default() };
        assert_eq!(cors(given.clone()).map(shown_cors), Some(given));
    }
}
