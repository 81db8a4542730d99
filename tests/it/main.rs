//! Tollgate from the outside: one binary of tests that read like its specification.

#[cfg(test)]
mod support;

#[cfg(test)]
mod crash;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod hang_up;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod input;
#[cfg(test)]
mod passthrough;
#[cfg(test)]
mod path;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod tasks;
