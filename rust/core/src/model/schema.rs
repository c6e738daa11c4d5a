//! Descriptions, for openapi.json, of types that are text on the wire.

use crate::model::{digest::Digest, frames::FrameList};
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

impl PartialSchema for Digest {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{64}$"));
        text.description(Some("A BLAKE3 digest, as lower-case hexadecimal digits.")).into()
    }
}

impl ToSchema for Digest {
    fn name() -> Cow<'static, str> {
        "Digest".into()
    }
}

impl PartialSchema for FrameList {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).examples(["1-10,15,20-30x2"]);
        text.description(Some("Frames and ranges of frames, with an optional step.")).into()
    }
}

impl ToSchema for FrameList {
    fn name() -> Cow<'static, str> {
        "FrameList".into()
    }
}
