//! Objects to snapshot.
