//! Every file in this folder. `cargo fmt` does not see through the macro: run `rustfmt ingress/src/all/*.rs`.

automod::dir!("src/all");
