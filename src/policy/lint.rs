//! Findings about a policy that compiles but probably does not mean what it says.
