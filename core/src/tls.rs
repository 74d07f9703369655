//! Which implementation of TLS this process uses.

/// Decides for aws-lc, unless something else was decided before.
///
/// Libraries of storages link two implementations. One that asks for "the" implementation of the process, as the Redis
/// client does, panics at its first connection with TLS where nobody has decided; so whoever opens such a client calls
/// this first.
pub fn decide() {
    // The one that was decided before stays.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
