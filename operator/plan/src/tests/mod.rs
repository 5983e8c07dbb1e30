//! The planner against a small world: one rule a test.

mod binding;
mod bound;
mod bounds;
mod builds;
mod built_in;
mod classes;
mod components;
mod flapping;
mod gone;
mod images;
mod moves;
mod place;
mod reclaim;
mod restart;
mod service;
mod slices;
mod status;
mod storage;
mod stores;
mod usage;
mod values;
mod world;
