//! vcon
#![allow(missing_docs)]
#[derive(Debug)]
pub struct Vcon;
