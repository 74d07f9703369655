//! vcon
#![allow(missing_docs)]
use crate::Result;
use crate::document::{Document, Edit};
use bytes::Bytes;
#[derive(Debug, Clone)]
pub struct Vcon(Document);
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Unsigned,
    Signed,
    Encrypted,
}
impl Vcon {
    pub fn read(bytes: impl Into<Bytes>) -> Result<Vcon> {
        Document::parse(bytes).map(Vcon)
    }
    pub fn form(&self) -> Form {
        Form::Unsigned
    }
    pub fn apply(&mut self, edit: &Edit) -> Result<bool> {
        self.0.apply(edit)
    }
    pub fn to_bytes(&self) -> Bytes {
        self.0.to_bytes()
    }
    pub fn normalised(&self) -> serde_json::Value {
        self.0.root().to_value()
    }
    pub fn document(&self) -> &Document {
        &self.0
    }
}
