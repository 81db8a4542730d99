//! Tollgate from the outside: one binary of tests that read like its specification.

#[cfg(test)]
mod support;

#[cfg(test)]
mod path;
