//! Builds the guests.
