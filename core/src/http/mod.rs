//! The one HTTP client that links and storages use: classified errors, bounded bodies, retry with
//! `Retry-After`, and the address guard for URLs that come from outside.
//!
//! ```no_run
//! # async fn example(key: vconductor_core::secret::Secret) -> vconductor_core::Result<()> {
//! use vconductor_core::http::{HttpClient, Request};
//!
//! let client = HttpClient::builder().build()?;
//! let request = Request::post("https://api.example.com/v1/things")?
//!     .trusted() // the operator wrote this URL
//!     .provider() // 401, 402 and 403 mean: the key is wrong
//!     .bearer(&key)?
//!     .json(&serde_json::json!({"name": "call"}))?;
//! let answer: serde_json::Value = client.send(&request).await?.json()?;
//! # Ok(()) }
//! ```

mod client;
mod display;
mod download;
mod form;
pub mod guard;
mod hosts;
mod network;
mod offline;
mod request;
mod resolver;
mod response;
pub mod signature;
mod verdict;
mod wait;

#[cfg(test)]
mod tests;

pub use client::{HttpClient, HttpClientBuilder};
pub use download::Download;
pub use form::Form;
pub use guard::Guard;
pub use hosts::Hosts;
pub use network::Network;
pub use offline::{Offline, OfflineAnswer, OfflineCall};
pub use request::Request;
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
pub use reqwest::{Method, StatusCode, Url, header};
pub use resolver::{Resolver, SystemResolver};
pub use response::Response;
