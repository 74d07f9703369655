//! Every file in this folder.

automod::dir!("src/all");
