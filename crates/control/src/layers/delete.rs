//! DeleteLayerVersion.

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_store::{Precondition, Write};
use hearth_types::keys;

use crate::Control;

impl Control {
    /// DeleteLayerVersion: no error where it is not there. Functions that use it go on doing so: they name its package
    /// themselves.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_layer_version(&self, input: api::DeleteLayerVersionRequest) -> Result<(), ApiError> {
        let layer = self.layer_name(&input.layer_name)?;
        let Ok(number) = u64::try_from(input.version_number) else { return Ok(()) };
        self.commit(vec![Write::delete(keys::layer_version(&layer, number), Precondition::Any)]).await?;
        Ok(())
    }
}
