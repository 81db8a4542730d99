//! Tollgate from the outside: one binary of tests that read like its specification.

#[cfg(test)]
mod support;

#[cfg(test)]
mod admission;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod census;
#[cfg(test)]
mod check;
#[cfg(test)]
mod compatibility;
#[cfg(test)]
mod cors;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod events;
#[cfg(test)]
mod export;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod floors;
#[cfg(test)]
mod hang_up;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod input;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod lasting;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod log_file;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod media;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod models;
#[cfg(test)]
mod openai;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod passthrough;
#[cfg(test)]
mod path;
#[cfg(test)]
mod pools;
#[cfg(test)]
mod queues;
#[cfg(test)]
mod quotas;
#[cfg(test)]
mod rekey;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod running;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod start;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod vision;
