//! What a configured link tells about itself: `check` finds by it what no single step shows.

/// Facts about one link with its options. The default says nothing, and then nothing is concluded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Types of the analyses that it writes.
    pub writes: Vec<String>,
    /// Whether it may write analyses of any type, because somebody else's program decides.
    pub writes_anything: bool,
    /// Types of analyses that it works on; one of them will do. Without any it does nothing.
    pub reads: Vec<String>,
    /// The type of analysis that makes it pass a vCon or dialog over, because it is there already.
    pub once: Option<String>,
    /// Whether it works on a part of the vCons only: a condition of its own, or a sample.
    pub partial: bool,
    /// Lists that it may push vCons to.
    pub pushes: Vec<String>,
    /// Whether it ends the chain.
    pub stops: Stops,
}

/// Whether a link ends the chain for a vCon ([`Outcome::Stop`](super::Outcome::Stop)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stops {
    /// It goes on with every vCon.
    #[default]
    Never,
    /// It depends on the vCon.
    Sometimes,
    /// It ends the chain for every vCon.
    Always,
}

impl Facts {
    /// A link that reads analyses of one of these types and writes one of type `writes`, unless it is there.
    pub fn analysis<'a>(reads: impl IntoIterator<Item = &'a str>, writes: &str) -> Self {
        Facts {
            reads: reads.into_iter().map(str::to_owned).collect(),
            writes: vec![writes.to_owned()],
            once: Some(writes.to_owned()),
            ..Facts::default()
        }
    }

    /// A link that ends the chain for vCons in this way.
    pub fn stopping(stops: Stops) -> Self {
        Facts { stops, ..Facts::default() }
    }
}
