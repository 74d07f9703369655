//! document
#![allow(missing_docs)]
pub mod edit {
    #[derive(Debug, Clone)]
    pub enum Edit {
        AddTag { name: String, value: String },
    }
    impl Edit {
        pub fn add_tag(name: impl Into<String>, value: impl Into<String>) -> Self {
            Edit::AddTag { name: name.into(), value: value.into() }
        }
    }
}
