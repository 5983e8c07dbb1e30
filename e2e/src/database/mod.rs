//! Databases that a test starts for itself, where the cluster's pods reach them.

mod authority;
mod place;
mod postgres;
mod redis;
mod s3;

pub use postgres::Postgres;
pub use redis::Redis;
pub use s3::S3;
