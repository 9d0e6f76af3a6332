//! Members that several operations take.

use std::collections::BTreeMap;

use hearth_api::ApiError;
use hearth_api::types as api;
use hearth_types::function::{Code, LayerRef};
use hearth_types::limits::UNZIPPED_BYTES;

use crate::functions::code::Source;
use crate::{Control, invalid, rules};

/// PackageType: of one kind for the function's whole life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PackageKind {
    Zip,
    Image,
}

impl PackageKind {
    pub(super) fn new(given: Option<api::PackageType>) -> Self {
        match given {
            None | Some(api::PackageType::Zip) => Self::Zip,
            Some(api::PackageType::Image) => Self::Image,
        }
    }

    pub(super) fn of(code: &Code) -> Self {
        match code {
            Code::Zip(_) => Self::Zip,
            Code::Image { .. } => Self::Image,
        }
    }
}

/// Where CreateFunction says the code is.
pub(super) fn source(code: api::FunctionCode) -> Source {
    Source {
        zip: code.zip_file,
        s3_bucket: code.s3_bucket,
        s3_key: code.s3_key,
        s3_version: code.s3_object_version,
        image_uri: code.image_uri,
    }
}

impl Control {
    /// What the member Layers names; none where it is absent.
    ///
    /// # Errors
    /// Too many, from elsewhere, two versions of one layer, or one that is not there.
    pub(super) async fn layers(&self, given: Option<&[String]>) -> Result<Option<Vec<LayerRef>>, ApiError> {
        let Some(arns) = given else { return Ok(None) };
        rules::layers(arns.len())?;
        let mut names = BTreeMap::new();
        let mut layers = Vec::new();
        for arn in arns {
            let region = &self.parts.place.region;
            if arn.split(':').nth(3).is_some_and(|theirs| *theirs != **region) {
                return Err(invalid(format!(
                    "Layers are not in the same region as the function. Layers are expected to be in region {region}."
                )));
            }
            let name = self.layer_version_name(arn)?;
            let Some(version) = self.layer_version(&name.layer, name.number).await? else {
                return Err(invalid(format!("Layer version {arn} does not exist.")));
            };
            if let Some(other) = names.insert(name.layer, arn) {
                return Err(invalid(format!(
                    "Two different versions of the same layer are not allowed to be referenced in the same function. \
                     {other} and {arn} are versions of the same layer."
                )));
            }
            layers.push(LayerRef { arn: arn.clone(), code: version.code });
        }
        Ok(Some(layers))
    }
}

/// That a package and its layers together are not too large unpacked.
pub(super) fn fit_together(code: &Code, layers: &[LayerRef]) -> Result<(), ApiError> {
    let Some(package) = code.zip() else { return Ok(()) };
    let bytes = layers.iter().map(|layer| layer.code.unpacked).sum::<u64>() + package.unpacked;
    if bytes <= UNZIPPED_BYTES {
        return Ok(());
    }
    Err(invalid(format!(
        "Function code combined with layers exceeds the maximum allowed size of {UNZIPPED_BYTES} bytes. \
         The actual size is {bytes} bytes."
    )))
}

#[cfg(test)]
mod tests {
    use hearth_types::CodeDigest;
    use hearth_types::function::CodeRef;

    use super::*;

    #[test]
    fn a_package_and_its_layers_are_limited_together() {
        let of = |unpacked| CodeRef { digest: CodeDigest([0; 32]), size: 1, unpacked };
        let layer = |bytes| LayerRef { arn: String::new(), code: of(bytes) };
        let code = Code::Zip(of(UNZIPPED_BYTES - 10));
        assert!(fit_together(&code, &[layer(5), layer(5)]).is_ok());
        let text = fit_together(&code, &[layer(5), layer(6)]).unwrap_err().to_string();
        assert!(
            text.ends_with("exceeds the maximum allowed size of 262144000 bytes. The actual size is 262144001 bytes.")
        );
    }
}
