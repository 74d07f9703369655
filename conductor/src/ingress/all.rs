//! Every file in this folder. `cargo fmt` does not see through the macro: run `rustfmt conductor/src/ingress/all/*.rs`.

automod::dir!("src/ingress/all");
