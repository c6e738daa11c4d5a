//! `/api/v1/openapi.json`: the description of the interface. Each handler describes what it takes
//! and gives, and is routed by that description; this adds what holds for all of them.

use super::{
    downloads::{About, send_bytes},
    error::HttpError,
};
use axum::{body::Bytes, http::HeaderMap, response::Response};
use netrender_core::wire::{ErrorBody, ErrorCode, ErrorDetail};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, ContentBuilder, Info, License, OpenApi, Ref, RefOr, Response as Answer, ResponseBuilder,
        path::Operation, tag::TagBuilder,
    },
};

const TAGS: [(&str, &str); 7] = [
    ("farm", "The farm as a whole: lists, events, figures, history"),
    ("jobs", "Jobs, as people handle them"),
    ("frames", "Frames of a job, looked at closely"),
    ("slaves", "Slaves, as people handle them"),
    ("downloads", "Plain addresses, for browsers and wget"),
    ("transfer", "Jobs' files and results on their way"),
    ("work", "What slaves say"),
];

/// Completes the description and writes it as JSON.
pub(super) fn describe(mut api: OpenApi) -> Bytes {
    api.info = Info::new("netrender", env!("CARGO_PKG_VERSION"));
    api.info.description = Some("The master of a render farm inside Blender.".into());
    api.info.license = Some(License::new("GPL-3.0-or-later"));
    api.tags = Some(TAGS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build()).into());
    let components = api.components.get_or_insert_with(Components::new);
    components.schemas.insert(ErrorBody::name().into(), ErrorBody::schema());
    components.schemas.insert(ErrorDetail::name().into(), ErrorDetail::schema());
    components.schemas.insert(ErrorCode::name().into(), ErrorCode::schema());
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            complete(operation);
        }
    }
    // It is plain data, which always can be written.
    serde_json::to_vec(&api).unwrap_or_default().into()
}

/// Adds the error response, and a description to responses that have none, because the standard
/// wants one.
fn complete(operation: &mut Operation) {
    for answer in operation.responses.responses.values_mut() {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            answer.description = "Done".into();
        }
    }
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorBody::name()))).build();
    let error: Answer = ResponseBuilder::new().description("What went wrong").content("application/json", body).build();
    operation.responses.responses.insert("default".into(), error.into());
}

/// Sends the description.
pub(super) fn send(asked: &HeaderMap, description: Bytes) -> Result<Response, HttpError> {
    send_bytes(asked, description, About { mime: "application/json", name: None, immutable: false })
}
