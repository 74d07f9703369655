//! What a failing disk means for the engine and for the operator.

use std::io::{self, ErrorKind};
use std::path::Path;

use vconductor_core::Error;

/// Linux and the BSDs: too many open files.
const EMFILE: i32 = 24;

/// The error for `error`, which happened when we tried to `act` on `path`.
pub(super) fn fault(act: &str, path: &Path, error: io::Error) -> Error {
    let message = format!("cannot {act} `{}`", path.display());
    let error_for = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::retryable(message)
            .help("free space on that disk, or move the folder to a larger one and change option `path`"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::configuration(message)
            .help("give the user that runs vconductor write access to it, or change option `path`"),
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            Error::configuration(message).help("option `path` must be a folder of its own, or one that can be made")
        }
        ErrorKind::FileTooLarge => Error::permanent(message)
            .help("the file system or the process limit (ulimit -f) allows no file of this size"),
        _ if error.raw_os_error() == Some(EMFILE) => {
            Error::retryable(message).help("raise the limit of open files (ulimit -n)")
        }
        _ => Error::retryable(message).help("check the disk and its mount; it is tried again"),
    };
    error_for.caused_by(error)
}

#[cfg(test)]
mod tests {
    use vconductor_core::Class;

    use super::*;

    #[test]
    fn every_fault_has_a_class_and_help() {
        for (kind, class) in [
            (ErrorKind::StorageFull, Class::Retryable),
            (ErrorKind::PermissionDenied, Class::Configuration),
            (ErrorKind::NotADirectory, Class::Configuration),
            (ErrorKind::FileTooLarge, Class::Permanent),
            (ErrorKind::Other, Class::Retryable),
        ] {
            let error = fault("write", Path::new("/data/x.json"), io::Error::from(kind));
            assert_eq!(error.class(), class, "{kind:?}");
            assert!(error.message().contains("/data/x.json") && error.help_text().is_some());
        }
    }
}
