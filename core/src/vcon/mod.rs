//! vcon
