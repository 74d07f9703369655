//! http
#![allow(missing_docs)]
#[derive(Debug, Clone)]
pub struct HttpClient;
