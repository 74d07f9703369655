//! The conductor: the engine that runs chains, and its faces.
