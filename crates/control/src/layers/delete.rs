//! DeleteLayerVersion.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_store::{Precondition, Write};
use hearth_types::keys;

use crate::Control;
use crate::layers::version_number;

impl Control {
    /// DeleteLayerVersion: no error where it is not there. Functions that use it go on doing so: they name its package
    /// themselves.
    ///
    /// # Errors
    /// For a number that no version has, and when the store fails.
    pub async fn delete_layer_version(&self, input: api::DeleteLayerVersionRequest) -> Result<(), ApiError> {
        let layer = self.layer_name(&input.layer_name)?;
        let number = version_number(input.version_number)?;
        self.commit(vec![Write::delete(keys::layer_version(&layer, number), Precondition::Any)]).await?;
        Ok(())
    }
}
