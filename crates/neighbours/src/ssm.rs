//! The parameters of SSM: values by name, in versions, some of them sealed.

mod delete;
mod describe;
mod filters;
mod get;
mod history;
mod labels;
mod names;
mod put;
mod record;
mod tags;

use hearth_api::ssm::errors;
use hearth_api::{ApiError, Page};
use hearth_store::typed::Loaded;
use hearth_types::keys;

use crate::Neighbours;
use crate::ssm::names::Wanted;
use crate::ssm::record::ParameterRecord;

/// What a SecureString is encrypted with when the client names nothing, and the only key there is.
const DEFAULT_KEY: &str = "alias/aws/ssm";

impl Neighbours {
    fn parameter_arn(&self, name: &str) -> String {
        let place = &self.parts.place;
        format!("arn:aws:ssm:{}:{}:parameter/{}", place.region, place.account, name.trim_start_matches('/'))
    }

    /// The parameter that a client named.
    async fn parameter(&self, wanted: &Wanted) -> Result<Option<Loaded<ParameterRecord>>, ApiError> {
        for name in &wanted.names {
            if let Some(found) = self.records.read(&keys::parameter(name)).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The service says nothing more about it.
fn not_found() -> ApiError {
    ApiError { message: None, ..ApiError::new(&errors::PARAMETER_NOT_FOUND, "") }
}

fn page(list: &'static str, token: Option<&str>, wanted: Option<i32>, most: usize) -> Result<Page, ApiError> {
    Page::new(list, token, wanted, most)
        .map_err(|_| ApiError::new(&errors::INVALID_NEXT_TOKEN, "The specified token is not valid."))
}
