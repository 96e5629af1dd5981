//! The document that says what can be asked, in OpenAPI 3.1. It is written by hand, and tests hold it against the paths there
//! are and against the running server.

use axum::http::header;
use axum::response::IntoResponse;

const DOCUMENT: &str = include_str!("openapi.json");

pub(super) async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regex::Regex;
    use serde_json::Value;

    use super::*;

    /// Every file of this room that adds a path.
    const SOURCES: [&str; 4] =
        [include_str!("api.rs"), include_str!("config.rs"), include_str!("fault.rs"), include_str!("stream.rs")];

    #[test]
    fn the_document_names_every_path_and_method_and_no_other() {
        let route = Regex::new(r#"\.route\("([^"]+)", ([^\n]+)"#).unwrap();
        let method = Regex::new(r"\b(get|post|put|delete)\(").unwrap();
        let mut served = BTreeSet::new();
        for source in SOURCES {
            for found in route.captures_iter(source) {
                let methods = method.captures_iter(&found[2]).map(|method| method[1].to_owned());
                served.extend(methods.map(|method| (found[1].to_owned(), method)));
            }
        }
        assert!(served.len() > 20, "the sources are not read: {served:?}");
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let methods = |(path, item): (&String, &Value)| -> Vec<(String, String)> {
            item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())).collect()
        };
        let described: BTreeSet<(String, String)> = paths.iter().flat_map(methods).collect();
        assert_eq!(described, served);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_problems_in_one_form() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut names = BTreeSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                assert!(names.insert(operation["operationId"].as_str().unwrap()), "{operation}");
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let is_problem = answer["$ref"] == "#/components/responses/Problem";
                    assert_eq!(status.starts_with(['4', '5']), is_problem, "{status}: {answer}");
                }
            }
        }
    }
}
