//! STS: which operation is answered by what.

use bytes::Bytes;
use hearth_api::ApiError;
use hearth_api::sts::{Operation, ops};
use http::Response;

use super::{Asked, answer};
use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn sts(&self, asked: Asked<'_, Operation>) -> Result<Response<Bytes>, ApiError> {
        let (sts, caller) = (&self.neighbours, asked.caller);
        answer! { xml asked;
            AssumeRole(input) => sts.assume_role(caller, input),
            GetCallerIdentity(_input) => async { Ok::<_, ApiError>(sts.get_caller_identity(caller)) },
        }
    }
}
