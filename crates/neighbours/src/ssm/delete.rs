//! DeleteParameter and DeleteParameters.

use hearth_api::ApiError;
use hearth_api::ssm::Operation;
use hearth_api::ssm::types as api;
use hearth_identity::Caller;
use hearth_store::{Precondition, Write};
use hearth_types::keys;

use super::names::Wanted;
use super::not_found;
use crate::{Neighbours, allow};

impl Neighbours {
    /// DeleteParameter, with all its versions.
    ///
    /// # Errors
    /// ParameterNotFound.
    pub async fn delete_parameter(
        &self,
        caller: &Caller,
        input: api::DeleteParameterRequest,
    ) -> Result<api::DeleteParameterResult, ApiError> {
        if !self.deleted(caller, Operation::DeleteParameter, &input.name).await? {
            return Err(not_found());
        }
        Ok(api::DeleteParameterResult {})
    }

    /// DeleteParameters: names that mean nothing are listed.
    ///
    /// # Errors
    /// A caller that may not delete one of them.
    pub async fn delete_parameters(
        &self,
        caller: &Caller,
        input: api::DeleteParametersRequest,
    ) -> Result<api::DeleteParametersResult, ApiError> {
        let (mut deleted, mut invalid) = (Vec::new(), Vec::new());
        for name in input.names {
            let found = self.deleted(caller, Operation::DeleteParameters, &name).await?;
            if found { &mut deleted } else { &mut invalid }.push(name);
        }
        Ok(api::DeleteParametersResult { deleted_parameters: Some(deleted), invalid_parameters: Some(invalid) })
    }

    /// Whether there was such a parameter.
    async fn deleted(&self, caller: &Caller, operation: Operation, name: &str) -> Result<bool, ApiError> {
        let wanted = Wanted::parse(name, &self.parts.place);
        allow(caller, operation, &self.parameter_arn(wanted.name()))?;
        if wanted.selector.is_some() {
            return Ok(false);
        }
        self.records
            .until_written(|| async {
                let Some(parameter) = self.parameter(&wanted).await? else { return Ok(Some(false)) };
                let record = &parameter.record;
                let mut writes = vec![Write::delete(keys::parameter(&record.name), parameter.unchanged())];
                let earlier = record.oldest..record.latest.number;
                let version = |number| Write::delete(keys::parameter_version(&record.name, number), Precondition::Any);
                writes.extend(earlier.map(version));
                Ok(self.records.commit(writes).await?.then_some(true))
            })
            .await
    }
}
